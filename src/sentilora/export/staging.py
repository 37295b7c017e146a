"""An output folder or file that is there whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from sentilora.errors import UserError
from sentilora.files import looking_at


@contextmanager
def staged(output: Path) -> Iterator[Path]:
    """A place beside `output` to write to, a file or a folder; renamed to it at the end.

    Whatever ends the `with` block early, nothing is left there.

    Raises UserError where there is something at `output` already, or it can't be written or
    looked at.
    """
    with looking_at(output):
        taken, here = output.exists() and not _empty_folder(output), output.resolve() == Path.cwd()
    if taken:
        raise UserError(f"{output} is there already. Choose another place with -o, or remove it.")
    if here:  # replaced, it would leave the user's shell nowhere
        raise UserError(f"{output} is the folder you are in. Name one within it with -o.")
    part = output.with_name(f".{output.name}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)  # of a process that was killed
        yield part
        if output.is_dir():
            output.rmdir()
        part.replace(output)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{output} can't be written ({reason}). Free some space, or choose "
            "another place with -o."
        ) from error
    finally:
        _remove(part)


def _empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

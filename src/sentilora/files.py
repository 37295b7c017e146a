"""Paths, and writing that is whole or not at all: a temporary name beside, fsync, then a rename."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sentilora.errors import UserError


def expanded(name: str) -> Path:
    """The path of that name, the user's folder in place of `~`; as it is for a user there isn't."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises then


@contextmanager
def looking_at(path: Path | str) -> Iterator[None]:
    """Raises `UserError` where whether there is a `path` can't be told.

    A folder above it may not be entered, or its name is longer than names can be.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path} can't be looked at: {reason}. Give another path.") from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON in place of whatever `path` was."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` in place of whatever `path` was; nothing half-written is ever at `path`."""
    staged = path.with_name(f".{path.name}.part")
    try:
        with staged.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The JSON object at `path`; `what` names it in the `UserError` raised where it is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{what} can't be read ({path}): {error}.") from error
    if not isinstance(value, dict):
        raise UserError(f"{what} is damaged ({path}): it holds no JSON object.")
    return value


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

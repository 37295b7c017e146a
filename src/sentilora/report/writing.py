"""Where a report goes, and whether it can be made; needs nothing that a report needs."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from sentilora.errors import UserError
from sentilora.files import write_bytes

REPORT = "report.html"  # its name in a study's folder
_NEEDED = ("matplotlib", "jinja2")


def lacking() -> str | None:
    """What keeps a report from being made, and the remedy; None where nothing does."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if not missing:
        return None
    return (
        f"A report needs {' and '.join(missing)}, which is not installed. Install the extra: "
        "pip install 'sentilora[report]'."
    )


def check_report(path: Path) -> None:
    """Raise `UserError` where no report can be made, or none can be written at `path`."""
    if (problem := lacking()) is not None:
        raise UserError(problem)
    if path.is_dir():
        raise UserError(f"{path} is a folder. Name the report's file, such as {path / REPORT}.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(
            f"The report can't be written to {path}: there is no folder {path.parent} that can be "
            "written to. Make it, or name another place."
        )


def write_report(path: Path, page: str) -> None:
    """Write the page in place of whatever `path` was.

    Raises UserError where the file can't be written.
    """
    try:
        write_bytes(path, page.encode())
    except OSError as error:
        raise UserError(
            f"The report can't be written to {path} ({error.strerror or error}). Name another "
            "place."
        ) from error

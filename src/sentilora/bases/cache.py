"""Where fetched and converted bases are kept, and how a folder gets there whole or not at all.

`SENTILORA_CACHE` moves the cache; otherwise it is the user's cache folder of the platform. A base
is built in a staging folder beside its final place and renamed at the end, under a lock held by one
process at a time. What an interrupted process leaves is a staging folder, which the next holder of
the same lock removes.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sentilora.errors import UserError
from sentilora.files import expanded, read_json

CACHE_VARIABLE = "SENTILORA_CACHE"
RECORD_FILE = "sentilora_base.json"
BASE_FORMAT = 1  # raise it when converted folders are made differently: old ones are then remade


def cache_dir() -> Path:
    """The cache folder; it need not exist."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return expanded(chosen).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("sentilora", appauthor=False)


def base_folder(key: str) -> Path:
    """Where the converted base of this key is, or will be."""
    return cache_dir() / "bases" / f"{key}-v{BASE_FORMAT}"


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a converted base, or None where `folder` is not one.

    The record is written before the folder gets its final name, so having it means being whole.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    return read_json(path, "The record of a cached base (delete its folder to have it made again)")


def build_once(key: str, build: Callable[[Path], None], say: Callable[[str], None]) -> Path:
    """The folder of base `key`; where it is not there, `build(staging)` makes it first.

    Args:
        key: names the base and its version.
        build: fills an empty staging folder, the record included; whatever it raises passes
            through, and nothing is left behind.
        say: told when another process holds the lock.
    """
    folder = base_folder(key)
    if read_record(folder) is not None:
        return folder
    try:
        with _locked(key, say):
            _remove_stale(folder)
            if read_record(folder) is None:  # another process may have made it while we waited
                _build(folder, build)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"The cache folder {cache_dir()} cannot be written ({error.strerror}). Make room, "
            f"make it writable, or set {CACHE_VARIABLE} to another folder."
        ) from error
    return folder


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    staging = folder.with_name(f".staging-{folder.name}")
    staging.mkdir()
    try:
        build(staging)
        staging.replace(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)  # gone already where the rename was reached


def _remove_stale(folder: Path) -> None:
    """Remove what a killed process left; the lock is held, so nobody is at work on it."""
    shutil.rmtree(folder.with_name(f".staging-{folder.name}"), ignore_errors=True)
    if folder.exists() and read_record(folder) is None:
        raise UserError(
            f"The cache folder {folder} holds something that sentilora did not put there. "
            "Move it away and try again."
        )


@contextmanager
def _locked(key: str, say: Callable[[str], None]) -> Iterator[None]:
    from filelock import FileLock, Timeout

    bases = cache_dir() / "bases"
    bases.mkdir(parents=True, exist_ok=True)
    lock = FileLock(bases / f".{key}.lock")
    try:
        lock.acquire(timeout=0.2)
    except Timeout:
        say("Another process is preparing this base; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()

"""One SHA-256 for a model's stored weights, whichever files they are spread over.

It is taken over every tensor's name, dtype, shape and bytes, in the order of the names, read
straight from the safetensors files. Resharding or reordering a checkpoint keeps it, any changed
weight changes it. Computing it reads every byte, so it is remembered in the cache for the path,
size and modification time of the files; nothing is written beside the weights themselves.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sentilora.bases.cache import cache_dir
from sentilora.errors import UserError
from sentilora.files import sha256, write_json

_HEADER_LENGTH_BYTES = 8  # a safetensors file opens with the length of its JSON header, u64 little


def weights_fingerprint(files: Sequence[Path]) -> str:
    """SHA-256 (hex) of the tensors in these safetensors files, remembered in the cache.

    Raises:
        UserError: a file is damaged.
    """
    return _remembered("weights", files, lambda: _hash_tensors(files))


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file, remembered in the cache."""
    return _remembered("file", [path], lambda: sha256(path))


def tensor_table(file: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """A safetensors file's header: what each tensor is and where, and where the data starts.

    Raises:
        UserError: the file is truncated or not safetensors at all.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        opening = stream.read(_HEADER_LENGTH_BYTES)
        length = struct.unpack("<Q", opening)[0] if len(opening) == _HEADER_LENGTH_BYTES else size
        if length > size - _HEADER_LENGTH_BYTES:
            raise _damaged(file)
        try:
            header = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise _damaged(file) from error
    start = _HEADER_LENGTH_BYTES + length
    if start + end != size:
        raise _damaged(file)
    return header, start


def _damaged(file: Path) -> UserError:
    return UserError(
        f"{file} is damaged: it is truncated or no safetensors file. Fetch or copy it again."
    )


def _hash_tensors(files: Sequence[Path]) -> str:
    located = {}
    for file in files:
        header, start = tensor_table(file)
        for name, entry in header.items():
            located[name] = (file, entry, start)
    digest = hashlib.sha256()
    maps = {file: _map(file) for file in files}
    for name in sorted(located):
        file, entry, start = located[name]
        description = json.dumps([name, entry["dtype"], entry["shape"]], separators=(",", ":"))
        digest.update(description.encode("utf-8"))
        first, last = entry["data_offsets"]
        digest.update(memoryview(maps[file])[start + first : start + last])
    return digest.hexdigest()


def _map(file: Path) -> mmap.mmap:
    with file.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _remembered(kind: str, files: Sequence[Path], compute: Callable[[], str]) -> str:
    state = [kind]
    for file in sorted(file.resolve() for file in files):
        stat = file.stat()
        state += [str(file), str(stat.st_size), str(stat.st_mtime_ns)]
    key = hashlib.sha256("\0".join(state).encode("utf-8", "surrogateescape")).hexdigest()
    note = cache_dir() / "fingerprints" / f"{key}.json"
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError):
        value = compute()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, no correctness
        note.parent.mkdir(parents=True, exist_ok=True)
        write_json(note, {"sha256": value})
    return value

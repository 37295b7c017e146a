"""Opening a GGUF file: its metadata and tensor table, checked to be whole before anything is read.

The `gguf` package parses; this module turns what can be wrong with a file into clear errors.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.errors import UserError

if TYPE_CHECKING:
    from gguf import GGUFReader

_MAGIC = b"GGUF"
_FLOATS = {"F32", "F16", "BF16"}


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file whose header was read; tensors stay on disk."""

    path: Path
    reader: GGUFReader

    def get(self, key: str, default: Any = None) -> Any:
        """A metadata value as a Python object (arrays as lists), or `default`."""
        field = self.reader.fields.get(key)
        return default if field is None else field.contents()

    @cached_property
    def architecture(self) -> str:
        return str(self.get("general.architecture"))

    @cached_property
    def architecture_keys(self) -> list[str]:
        """The metadata keys that describe the model's shape, without the architecture's name."""
        prefix = f"{self.architecture}."
        return [key.removeprefix(prefix) for key in self.reader.fields if key.startswith(prefix)]

    @cached_property
    def tensor_types(self) -> dict[str, str]:
        """Tensor name to ggml type name ("F32", "Q4_1", …)."""
        return {tensor.name: tensor.tensor_type.name for tensor in self.reader.tensors}

    @cached_property
    def type_counts(self) -> dict[str, int]:
        """How many tensors there are of each ggml type."""
        return dict(sorted(Counter(self.tensor_types.values()).items()))

    @property
    def is_quantized(self) -> bool:
        return not set(self.tensor_types.values()) <= _FLOATS

    def architecture_value(self, key: str, default: Any = None) -> Any:
        return self.get(f"{self.architecture}.{key}", default)


def open_gguf(path: Path) -> GgufFile:
    """Read a GGUF file's header.

    Raises:
        UserError: no GGUF file, truncated, one part of several, or big-endian.
    """
    from gguf import GGUFReader

    size = path.stat().st_size
    with path.open("rb") as stream:
        opening = stream.read(8)
    if opening[:4] != _MAGIC:
        raise UserError(f"{path} is no GGUF file: it does not begin with the letters GGUF.")
    if len(opening) == 8 and struct.unpack("<I", opening[4:])[0] & 0xFFFF == 0:
        raise UserError(f"{path} is a big-endian GGUF file, which cannot be read here.")
    try:
        reader = GGUFReader(path)
        complete = all(t.data_offset + t.n_bytes <= size for t in reader.tensors)
    except (
        ValueError,
        IndexError,
        KeyError,
        struct.error,
    ) as error:  # at a file's early end
        raise _truncated(path, size) from error
    if not complete:
        raise _truncated(path, size)
    file = GgufFile(path, reader)
    if file.get("general.architecture") is None or not reader.tensors:
        raise UserError(f"{path} holds no model: it states no architecture or has no tensors.")
    if file.get("split.count", 0) > 1:
        raise UserError(
            f"{path.name} is one of {file.get('split.count')} parts of a model. Join them with "
            "llama.cpp's `llama-gguf-split --merge` and give the joined file."
        )
    return file


def _truncated(path: Path, size: int) -> UserError:
    return UserError(
        f"{path} is damaged or truncated: its {size:,} bytes end before the data that its header "
        "announces. Download or copy it again."
    )

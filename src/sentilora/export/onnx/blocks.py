"""A matrix in 8 or 4 bits, by blocks.

Each row (the weights of one output) is cut into blocks of `BLOCK` inputs, and a weight w is stored
as round(w / scale) + zero, with a scale and a whole zero point of the block's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 32  # weights that share a scale, as in GGUF's Q4_1 and Q8_0
# In 4 bits it pays to cut a block's outermost weights off a little, and to shift its zero point:
# of these the combination of least squared error is taken.
_SHRUNK = (1.0, 0.92, 0.84)
_SHIFTED = (0, -1, 1)
_ROWS = 1024  # worked on at once, to keep memory small


@dataclass(frozen=True)
class Blocks:
    """A matrix [N, K] in B blocks a row, K filled up with zeros.

    values
        [N, B, BLOCK] uint8
    scales, zeros
        [N, B] fp32 and uint8
    """

    bits: int
    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8]

    @property
    def packed(self) -> NDArray[np.uint8]:
        """[N, B, BLOCK * bits / 8]: of two 4-bit values in a byte the first is the low half."""
        return _packed(self.values, self.bits)

    @property
    def packed_zeros(self) -> NDArray[np.uint8]:
        """[N, ceil(B * bits / 8)], likewise."""
        return _packed(self.zeros, self.bits)


def in_blocks(matrix: NDArray[np.float32], bits: int) -> Blocks:
    """A matrix [N, K] in `bits`, 8 or 4."""
    parts = [
        _rounded(matrix[start : start + _ROWS], bits) for start in range(0, len(matrix), _ROWS)
    ]
    values, scales, zeros = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Blocks(bits, values, scales, zeros)


def _rounded(
    matrix: NDArray[np.float32], bits: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
    rows, width = matrix.shape
    count = -(-width // BLOCK)
    blocks = np.zeros((rows, count * BLOCK), dtype=np.float32)
    blocks[:, :width] = matrix
    blocks = blocks.reshape(rows, count, BLOCK)
    most = np.float32(2**bits - 1)
    low, high = np.minimum(blocks.min(axis=2), 0), np.maximum(blocks.max(axis=2), 0)
    full = (high - low) / most
    full[full == 0] = 1
    zero = np.rint(-low / full)
    chosen = _with(blocks, full, zero, most)
    tried = [] if bits == 8 else [(part, shift) for part in _SHRUNK for shift in _SHIFTED]
    for part, shift in tried:
        other = _with(blocks, full * np.float32(part), np.clip(zero + shift, 0, most), most)
        better = other[3] < chosen[3]
        chosen = (
            np.where(better[:, :, None], other[0], chosen[0]),
            *(np.where(better, one, kept) for one, kept in zip(other[1:], chosen[1:], strict=True)),
        )
    values, scales, zeros, _ = chosen
    return values.astype(np.uint8), scales, zeros.astype(np.uint8)


def _with(
    blocks: NDArray[np.float32],
    scales: NDArray[np.float32],
    zeros: NDArray[np.float32],
    most: np.float32,
) -> tuple[NDArray[np.float32], ...]:
    """The rounded values, the scales and zeros, and each block's squared error."""
    values = np.clip(np.rint(blocks / scales[:, :, None]) + zeros[:, :, None], 0, most)
    missed = (values - zeros[:, :, None]) * scales[:, :, None] - blocks
    return values, scales, zeros, np.square(missed).sum(axis=2)


def _packed(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    if bits == 8:
        return values
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)
    return np.bitwise_or(values[..., ::2], values[..., 1::2] << 4, dtype=np.uint8)

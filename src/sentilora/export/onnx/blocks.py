"""A matrix in 8 or 4 bits, by blocks.

Each row (the weights of one output) is cut into blocks of `BLOCK` inputs with a scale of their own.
In 8 bits a weight is scale * (value - zero), with a whole zero point; in 4 bits, where that would
move a block by as much as half a step, it is scale * (value - zero) + offset: a block's least and
greatest weight are exact then, as in GGUF's Q4_1, whose files keep their weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 32  # weights that share a scale, as in GGUF's Q4_1 and Q8_0
_MIDDLE = 8  # the zero point in 4 bits


@dataclass(frozen=True)
class Blocks:
    """A matrix [N, K] in B blocks a row, K filled up with zeros.

    values
        [N, B, BLOCK] uint8
    scales, zeros
        [N, B] fp32 and uint8
    offsets
        [N, B] fp32, in 4 bits alone
    """

    bits: int
    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8]
    offsets: NDArray[np.float32] | None

    @property
    def packed(self) -> NDArray[np.uint8]:
        """[N, B, BLOCK * bits / 8]: of two 4-bit values in a byte the first is the low half."""
        if self.bits == 8:
            return self.values
        return np.bitwise_or(self.values[..., ::2], self.values[..., 1::2] << 4, dtype=np.uint8)


def in_blocks(matrix: NDArray[np.float32], bits: int) -> Blocks:
    """A matrix [N, K] in `bits`, 8 or 4."""
    rows, width = matrix.shape
    count = -(-width // BLOCK)
    blocks = np.zeros((rows, count * BLOCK), dtype=np.float32)
    blocks[:, :width] = matrix
    blocks = blocks.reshape(rows, count, BLOCK)
    most = 2**bits - 1
    low, high = blocks.min(axis=2), blocks.max(axis=2)
    if bits == 8:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    scales = (high - low) / np.float32(most)
    scales[scales == 0] = 1
    if bits == 8:
        zeros, offsets = np.rint(-low / scales), None
        values = np.rint(blocks / scales[:, :, None]) + zeros[:, :, None]
    else:
        zeros, offsets = np.full_like(low, _MIDDLE), low + _MIDDLE * scales
        values = np.rint((blocks - low[:, :, None]) / scales[:, :, None])
    values = values.clip(0, most).astype(np.uint8)
    return Blocks(bits, values, scales, zeros.astype(np.uint8), offsets)

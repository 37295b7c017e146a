"""`Recipe`: how a model is tuned, as far as memory depends on it; and the batches that are run."""

from __future__ import annotations

from dataclasses import dataclass

from sentilora.planning.shape import ModelShape

# Bytes of a weight in a quantised projection. NF4 (Dettmers et al. 2023): 4 bits, for each block of
# 64 an absolute maximum of 8 bits, and for each 256 of these one of 32 bits. INT8 (Dettmers et al.
# 2022): 8 bits; its scale, one an output, is added apart.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
INT8_BYTES = 1.0

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Recipe:
    """How a model is tuned.

    dtype
        Of the base and of what passes through it.
    threads
        Of a CPU; a batch is run in up to as many parts, each with an instruction of its own.
    targets
        Roles of the projections that have adapters.
    dropout
        Whether the adapters' inputs drop out, which keeps a mask.
    quantize
        One of `bases.quantization.KINDS`, or as the base is stored ("fp4", too); None where it is
        whole.
    checkpointing
        Whether only blocks' inputs are kept, and rows run whole.
    """

    dtype: str
    device: str = "cpu"
    threads: int = 1
    rank: int = 8
    targets: tuple[str, ...] = ("query", "value")
    dropout: bool = True
    dora: bool = False
    quantize: str | None = None
    checkpointing: bool = False

    @property
    def size(self) -> int:
        """Bytes of a number in the base's dtype."""
        return DTYPE_BYTES[self.dtype]

    def handwritten(self, shape: ModelShape) -> bool:
        """Whether the hand-written path runs this; else it is the model's own, under autograd."""
        elsewhere = self.checkpointing or self.dora
        return shape.handwritten and not elsewhere and {"query", "key", "value"} >= {*self.targets}

    def adapted(self, shape: ModelShape) -> list[tuple[int, int]]:
        """(inputs, outputs) of each projection of a block that has an adapter."""
        wanted = {*self.targets}
        if shape.fused and wanted & {"query", "key", "value"}:
            wanted |= {"fused"}
        matrices = shape.matrices
        return [each for role in matrices if role in wanted for each in matrices[role]]


@dataclass(frozen=True)
class Run:
    """The largest forward and backward pass.

    rows, own
        Rows B, and tokens T of each, padded, behind the instruction.
    prefix
        Tokens P of the instruction.
    """

    rows: int
    own: int
    prefix: int

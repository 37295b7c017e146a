"""In which of ggml's types each tensor is stored, and its values in it.

Types and arithmetic are the `gguf` package's; blocks of a quantised type are 32 values of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentilora.errors import UserError

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType

# By `--weights`, the share of rows that must keep their label.
WEIGHTS = {"q8_0": 0.995, "f16": 0.995, "f32": 0.995, "q4_1": 0.95, "q4_0": 0.9}

_OUTPUT = ("output.weight", "token_embd.weight")  # the latter also is the output, where tied
_FLOAT16_MAX = 65504.0  # quantised types keep their scales in float16, too


def type_of(name: str, shape: tuple[int, ...], weights: str, tuned: bool) -> GGMLQuantizationType:
    """The type that a tensor is stored in, for `--weights`.

    Vectors and positions stay F32, as llama.cpp's converter leaves them; rows that are no whole
    number of blocks stay F16. In a 4-bit file 8 bits are given to

    - what was `tuned`: an adapter's update is smaller than a step of 4 bits, so rounding erases it
      (wholly where the base itself was of 4 bits: SmolLM2 then answers as if untuned);
    - the embeddings and the output matrix, to which llama.cpp's quantiser gives 6 (a K-quant, which
      isn't written here).
    """
    from gguf import GGML_QUANT_SIZES
    from gguf import GGMLQuantizationType as Type

    wanted = Type[weights.upper()]
    if len(shape) < 2 or name == "position_embd.weight":
        return Type.F32
    if weights.startswith("q4") and (tuned or name in _OUTPUT):
        wanted = Type.Q8_0
    return wanted if shape[-1] % GGML_QUANT_SIZES[wanted][0] == 0 else Type.F16


def stored(name: str, data: npt.NDArray[np.float32], kind: GGMLQuantizationType) -> Any:
    """A tensor's values as they stand in the file.

    Raises UserError where one is too large for the type.
    """
    from gguf import GGMLQuantizationType, quantize

    largest = np.abs(data).max(initial=0.0)
    if kind != GGMLQuantizationType.F32 and not largest <= _FLOAT16_MAX:
        raise UserError(
            f"The merged weight {name} holds {largest:.3g}, which is too large for {kind.name}. "
            "Choose --weights f32."
        )
    return quantize(data, kind)


def bytes_of(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    """How many bytes a tensor takes in the file."""
    from gguf import GGML_QUANT_SIZES

    block, size = GGML_QUANT_SIZES[kind]
    return int(np.prod(shape)) // block * size

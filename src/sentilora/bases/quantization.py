"""Bases held in 4 or 8 bits: which kinds there are, whether one can be had, what it leaves out.

nf4 is QLoRA's (Dettmers et al. 2023): 4-bit NormalFloat, the scales of its blocks quantised too.
int8 has a scale for each row of a weight (the weights' half of Dettmers et al. 2022). In both only
weights are in so few bits: each is made whole in the base's dtype where it is used.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentilora.errors import UserError

if TYPE_CHECKING:
    import torch

KINDS = ("nf4", "int8")
BITS = {"nf4": 4, "int8": 8}
NONE = "none"  # how it is said that a base is wanted as it is stored
STORED_QUANTISED = (
    "are stored quantised already. Leave out --quantize, or give the model's unquantised folder."
)
_DEVICES = ("cuda", "cpu")


@dataclass(frozen=True)
class Quantised:
    """What of a loaded base is in few bits.

    weights, elements
        How many matrices, and how many numbers in them.
    stored_bytes
        What these take, their scales included.
    whole
        What stays in the base's dtype: the last names of the modules' paths, with how many of each.
    biases
        Whether quantised weights have biases, which stay in the base's dtype, too.
    """

    kind: str
    weights: int
    elements: int
    stored_bytes: int
    whole: tuple[tuple[str, int], ...]
    biases: bool


def parse_kind(given: str | None) -> str | None:
    """The kind that is asked for; None for "none" and where nothing is.

    Raises UserError for an unknown one, with the one that was meant.
    """
    if given is None or given in KINDS:
        return given
    if given == NONE:
        return None
    meant = next((kind for kind, bits in BITS.items() if str(bits) in given), None)
    remedy = f"do you mean {meant}?" if meant else f"choose {', '.join(KINDS)} or {NONE}."
    raise UserError(f"There is no quantisation {given!r}; {remedy}")


def stored_kind(config: Mapping[str, Any]) -> str | None:
    """How bitsandbytes stored the weights of a model with this configuration: "nf4", "fp4" or
    "int8"; None where it didn't."""
    found = config.get("quantization_config") or {}
    if found.get("quant_method") != "bitsandbytes":
        return None
    return "int8" if found.get("load_in_8bit") else str(found.get("bnb_4bit_quant_type", "fp4"))


def check_available(kind: str, device: str) -> None:
    """Raise UserError where a base can't be held as `kind` on `device`, with what to do instead."""
    import torch

    where = torch.device(device).type
    if where not in _DEVICES:
        raise UserError(
            f"A base can't be held in {kind} on {where}: bitsandbytes runs on CUDA and on the CPU. "
            "Choose --device cpu, or a whole base with --quantize none."
        )
    packed = _packed()
    try:
        packed.quantise_and_back(kind, torch.ones(64, 64, device=device))
    except Exception as error:  # whatever a library that isn't built for this processor raises
        raise UserError(
            f"bitsandbytes {packed.VERSION} can't hold weights in {kind} on this {where} "
            f"({type(error).__name__}: {error}). Update it, use another device, or a "
            "whole base with --quantize none."
        ) from error


def loading_arguments(kind: str | None, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """What `from_pretrained` is told besides, so that weights are quantised one by one, or with no
    `kind` read as they are stored."""
    from transformers import BitsAndBytesConfig

    if kind is None:
        return {"device_map": {"": device}}
    if kind == "int8":
        config = BitsAndBytesConfig(load_in_8bit=True)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return {"quantization_config": config, "device_map": {"": device}}


def settle(model: Any, kind: str, dtype: torch.dtype) -> Quantised:
    """Give a model that was quantised, or loaded so, its weights' own products, and count them.

    Raises UserError where nothing of it could be quantised.
    """
    modules = _packed().adopt(model, dtype)
    if not modules:
        raise UserError(
            f"This base has no linear projections that bitsandbytes could hold in {kind}. Leave "
            "out --quantize."
        )
    return Quantised(
        kind=kind,
        weights=len(modules),
        elements=sum(count_elements(module.weight) for module in modules.values()),
        stored_bytes=sum(module.stored_bytes() for module in modules.values()),
        whole=_whole(model, modules),
        biases=any(module.bias is not None for module in modules.values()),
    )


def kind_of(causal_lm: Any) -> str | None:
    """How a model from `load_base` is held, by itself or under adapters."""
    return next((m.kind for m in causal_lm.modules() if hasattr(m, "stored_bytes")), None)


def count_elements(parameter: Any) -> int:
    """How many numbers a parameter stands for: two of 4 bits lie in one byte."""
    state = getattr(parameter, "quant_state", None)
    return math.prod(state.shape) if state is not None else int(parameter.numel())


def _whole(model: Any, quantised: Iterable[str]) -> tuple[tuple[str, int], ...]:
    names = Counter(
        path.rpartition(".")[2]
        for path, module in model.named_modules()
        if path not in quantised and any(True for _ in module.parameters(recurse=False))
    )
    return tuple(names.items())


def _packed() -> Any:
    try:
        from sentilora.bases import packed
    except ImportError as error:
        raise UserError(
            "Bases are held in 4 or 8 bits by bitsandbytes, which can't be imported "
            f"({error}). Install it with: pip install 'sentilora[quantize]', or use a whole base "
            "with --quantize none."
        ) from error
    return packed

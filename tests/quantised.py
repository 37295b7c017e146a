"""Tiny bases of which bitsandbytes can hold every projection in whole blocks of 64."""

from __future__ import annotations

import copy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from models import CONFIGURATIONS, tiny_model
from sentilora.bases import LoadedBase, load_base, resolve
from tiny_tokenizers import byte_level

needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None,
    reason="needs bitsandbytes (the extra [quantize]), which isn't installed here",
)

ARCHITECTURES = ("llama", "gpt2", "qwen2", "gpt_neox")
KINDS = ("nf4", "int8")
WEIGHTS = {"llama": 14, "gpt2": 8, "qwen2": 14, "gpt_neox": 8}  # of two blocks
WHOLE = {
    "llama": "embed_tokens, 2 input_layernorm, 2 post_attention_layernorm, norm, lm_head",
    "gpt2": "wte, wpe, 2 ln_1, 2 ln_2, ln_f, lm_head, and the biases",
    "qwen2": "embed_tokens, 2 input_layernorm, 2 post_attention_layernorm, norm, lm_head, and the "
    "biases",
    "gpt_neox": "embed_in, 2 input_layernorm, 2 post_attention_layernorm, final_layer_norm, "
    "lm_head, and the biases",
}
NF4 = (
    *(-1.0, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.0910500, 0.0),
    *(0.0795803, 0.1609302, 0.2461123, 0.3379152, 0.4407098, 0.5626170, 0.7229568, 1.0),
)
_WIDE = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16}


def write_wide(folder: Path, architecture: str, *, mild: bool = False) -> Path:
    """A base of width 64 with its tokenizer, as a folder in the Hub's layout.

    Where it is `mild`, weights have nf4's values already, so that little changes in 4 bits: such
    random weights are far more sensitive than a trained model's.
    """
    model = _wide(architecture)
    if mild:
        model = copy.deepcopy(model)
        for module in model.transformer.h.modules():
            if isinstance(module, Conv1D):
                module.weight.data = rounded(module.weight.T, "nf4").T.contiguous()
    model.save_pretrained(folder)
    byte_level().save_pretrained(folder)
    return folder


@cache
def _wide(architecture: str) -> Any:
    made = _configuration(architecture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CONFIGURATIONS, architecture, lambda: made)
        return tiny_model(architecture)


def _configuration(architecture: str) -> Any:
    plain = CONFIGURATIONS[architecture]()
    if architecture == "gpt2":
        return transformers.GPT2Config(**{**plain.to_dict(), "n_embd": 64})
    known = {name: size for name, size in _WIDE.items() if hasattr(plain, name)}
    return type(plain)(**{**plain.to_dict(), **known})


def load(folder: Path, kind: str | None, dtype: str = "float32") -> LoadedBase:
    return load_base(resolve(str(folder)), device="cpu", dtype=dtype, quantize=kind)


def rounded(weight: Tensor, kind: str) -> Tensor:
    """What a weight [out, in] becomes, by the definition; nf4's scales are not quantised here.

    The 16 values are those of QLoRA's appendix E, to the digits printed there.
    """
    if kind == "int8":
        scale = weight.half().float().abs().amax(dim=1, keepdim=True) / 127
        return (weight.half().float() / scale).round() * scale
    values = torch.tensor(NF4)
    blocks = torch.nn.functional.pad(weight.flatten(), (0, -weight.numel() % 64)).view(-1, 64)
    scale = blocks.abs().amax(dim=1, keepdim=True)
    nearest = (blocks / scale).unsqueeze(-1).sub(values).abs().argmin(dim=-1)
    return (values[nearest] * scale).flatten()[: weight.numel()].view_as(weight)

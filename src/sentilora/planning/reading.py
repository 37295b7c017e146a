"""From a base's name to its shape, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sentilora.bases.catalog import INDEX_BASES
from sentilora.bases.loading import resolve
from sentilora.bases.quantization import stored_kind
from sentilora.bases.types import Base
from sentilora.errors import UserError, first_line
from sentilora.files import read_json
from sentilora.hub_failures import hub_failures
from sentilora.planning.shape import ModelShape, known_shape, stored_bytes
from sentilora.planning.table import CONFIGURATIONS


def read_shape(name: str, revision: str | None = None) -> ModelShape:
    """The shape of the base that `name` means.

    A folder's or a Hub model's `config.json`, or a GGUF file's header, is read; what `table` has is
    not asked for on the Hub.

    Raises UserError where there is no such base, or it can't be asked for from here.
    """
    base = resolve(name, revision)
    return shape_of(name, _configuration(base))


def folder_shape(name: str, folder: Path) -> ModelShape:
    """The shape of the model in a folder of the Hub's layout."""
    return shape_of(name, _read(folder / "config.json"))


def shape_of(name: str, config: Mapping[str, Any]) -> ModelShape:
    """The shape that a `config.json` describes; of an architecture that isn't known here, as
    transformers builds it."""
    shape = known_shape(name, config) or _counted(name, config)
    return replace(shape, quantized=stored_kind(config))


def _configuration(base: Base) -> Mapping[str, Any]:
    if base.origin == "gguf":
        from sentilora.bases.gguf import configuration

        assert base.path is not None
        return configuration(base.path)
    if base.origin == "folder":
        assert base.path is not None
        if not (base.path / "config.json").is_file():
            raise UserError(f"{base.name} is no model folder: it has no config.json.")
        return _read(base.path / "config.json")
    known = CONFIGURATIONS.get(base.name)
    if known is not None and base.revision is None:
        return known
    assert base.origin == "hub" or base.name in INDEX_BASES
    return _from_hub(base)


def _read(path: Path) -> Mapping[str, Any]:
    return read_json(path, "The model's configuration")


def _from_hub(base: Base) -> Mapping[str, Any]:
    from huggingface_hub import hf_hub_download

    try:
        return _read(Path(hf_hub_download(base.name, "config.json", revision=base.revision)))
    except hub_failures() as error:
        raise UserError(
            f"The configuration of {base.name} can't be had: it is no file or folder here, and the "
            f"Hub didn't give it ({first_line(error)}). Without a network, give a model folder, "
            f"a GGUF file, or one of {', '.join(CONFIGURATIONS)}."
        ) from error


def _counted(name: str, config: Mapping[str, Any]) -> ModelShape:
    """The shape of any architecture of transformers', whose weights are counted without memory."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from sentilora.projections import linear_weights

    values = {key: value for key, value in config.items() if key != "model_type"}
    try:
        whole = AutoConfig.for_model(str(config.get("model_type")), **values)
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(whole)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{name} is no causal language model that transformers can build from its "
            f"configuration: {error}."
        ) from error
    text = whole.get_text_config()
    linear = linear_weights(model)
    heads = getattr(text, "num_attention_heads", None)
    if heads is None:
        raise UserError(
            f"What {name} takes of memory can't be told: its configuration states no attention "
            "heads, so it isn't made of the blocks that are known here. Choose another base."
        )
    return ModelShape(
        name=name,
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        inner=getattr(text, "intermediate_size", None)
        or getattr(text, "ffn_dim", None)
        or 4 * text.hidden_size,
        heads=heads,
        groups=getattr(text, "num_key_value_heads", None) or heads,
        head_size=getattr(text, "head_dim", None) or text.hidden_size // heads,
        gated=any(
            path.endswith(("gate_proj", "gate_up_proj")) for path, _ in model.named_modules()
        ),
        fused=False,
        linear=linear,
        rest=sum(parameter.numel() for parameter in model.parameters()) - linear,
        vocabulary=text.vocab_size,
        window=getattr(text, "max_position_embeddings", None),
        stored_bytes=stored_bytes(config),
        handwritten=False,
    )

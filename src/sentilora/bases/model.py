"""A model's weights from a folder of the Hub's layout into memory: whole, or in few bits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.bases.quantization import (
    STORED_QUANTISED,
    Quantised,
    check_available,
    loading_arguments,
    settle,
    stored_kind,
)
from sentilora.devices import trim_heap
from sentilora.errors import UserError
from sentilora.files import read_json

if TYPE_CHECKING:
    import torch


def load_model(
    folder: Path, device: str, dtype: torch.dtype, kind: str | None, *, trust_remote_code: bool
) -> tuple[Any, Quantised | None]:
    """The model on `device`, and what of it is in few bits: quantised to `kind`, which is known to
    be available there, or stored so.

    Raises UserError where it is no causal language model, lacks weights, or can't be held so.
    """
    config = read_json(folder / "config.json", "The model's configuration")
    if kind is not None and "quantization_config" in config:
        raise UserError(f"The weights in {folder} {STORED_QUANTISED}")
    stored = stored_kind(config)
    held = kind or stored
    if held is None:
        return _read(folder, dtype, {}, trust_remote_code).to(device), None
    if stored is not None:
        check_available(stored, device)
    model = _read(folder, dtype, loading_arguments(kind, device, dtype), trust_remote_code)
    if stored is not None:
        _cast(model, dtype)
    quantised = settle(model, held, dtype)
    trim_heap()
    return model, quantised


def _cast(model: Any, dtype: torch.dtype) -> None:
    """Bring what isn't quantised of a model that was stored so into `dtype`: transformers leaves it
    in the one that it is stored in."""
    own = model.get_input_embeddings().weight.dtype
    for parameter in model.parameters():
        if parameter.dtype == own:
            parameter.data = parameter.data.to(dtype)


def _read(
    folder: Path, dtype: torch.dtype, arguments: Mapping[str, Any], trust_remote_code: bool
) -> Any:
    from transformers import AutoModelForCausalLM

    from sentilora.bases.quiet import quiet_transformers

    try:
        with quiet_transformers():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
                **arguments,
            )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise UserError(
            f"The model in {folder} cannot be loaded as a causal language model: {error}"
        ) from error
    model, report = loaded
    missing = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    if missing:
        raise UserError(
            f"The model in {folder} lacks weights that its config.json asks for, or has them in "
            f"other shapes: {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}. With "
            "random values in their place it would be useless. Fetch or copy the model again."
        )
    return model

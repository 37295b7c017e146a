"""LoRA on the query and value projections of any architecture, through PEFT.

The saved adapter is a plain PEFT one. On a fused projection (see `projections`) the rows of B that
weren't asked for are zero and stay exactly zero: their gradient is zero, and so are AdamW's moments
and its decay of them. DoRA's magnitudes of those rows aren't zero, so the trainer must not decay
magnitudes (it never does).

LoRA: Hu et al. (2022). rsLoRA: Kalajdzievski (2023). DoRA: Liu et al. (2024).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from sentilora.bases.quantization import count_elements
from sentilora.errors import UserError
from sentilora.projections import Targets, resolve
from sentilora.roles import parse_roles


@dataclass(frozen=True)
class AdapterSettings:
    """How the adapter is made; the defaults are the reference recipe's.

    rank, alpha
        The update is `alpha / rank * B @ A` (`alpha / sqrt(rank)` with `rslora`).
    dropout
        On the adapter's input, in training.
    targets
        Roles of projections: query, key, value, output, mlp.
    """

    rank: int = 8
    alpha: float = 32.0
    dropout: float = 0.1
    targets: tuple[str, ...] = ("query", "value")
    rslora: bool = False
    dora: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", parse_roles(self.targets))
        if self.rank < 1:
            raise UserError(f"A LoRA rank of {self.rank} leaves nothing to train; give 1 or more.")
        if not 0 < self.alpha < math.inf:
            raise UserError(f"A LoRA alpha of {self.alpha} is not a number above 0.")
        if not 0 <= self.dropout < 1:
            raise UserError(f"A LoRA dropout of {self.dropout} is not in [0, 1).")

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "targets": list(self.targets)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AdapterSettings:
        return cls(**{**values, "targets": tuple(values["targets"])})


@dataclass(frozen=True)
class ParameterCount:
    """How many parameters are trained, of how many there are without the adapter."""

    trained: int
    total: int

    @property
    def share(self) -> float:
        return self.trained / self.total


def attach(model: Any, settings: AdapterSettings, seed: int = 0) -> PeftModel:
    """`model` with a fresh adapter in it, in fp32, that changes nothing yet (B is zero).

    The weights of A are drawn from `seed` alone.
    """
    config = lora_config(model, settings)
    _check_rank(model, settings)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*fan_in_fan_out.*")
        # PEFT reads the old name of a property that transformers has renamed
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
        torch.manual_seed(seed)
        tuned = get_peft_model(model, config)
    _freeze_rows(tuned, resolve(tuned.get_base_model(), settings.targets))
    return tuned


def lora_config(model: Any, settings: AdapterSettings) -> LoraConfig:
    """PEFT's settings of such an adapter on `model`."""
    targets = resolve(model, settings.targets)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # PEFT takes any number
        lora_dropout=settings.dropout,
        target_modules=list(targets.modules),
        fan_in_fan_out=targets.fan_in_fan_out,
        use_rslora=settings.rslora,
        use_dora=settings.dora,
    )


def _freeze_rows(tuned: PeftModel, targets: Targets) -> None:
    """Zero the gradient of the rows of B (and DoRA's magnitudes) that must stay as they are."""
    base = tuned.get_base_model()
    for path, frozen in targets.frozen_rows.items():
        layer: Any = base.get_submodule(path)
        for parameter in (layer.lora_B["default"].weight, *_magnitudes(layer)):
            parameter.register_hook(_masking(~frozen.to(parameter.device)))


def trainable_parameters(tuned: PeftModel) -> dict[str, nn.Parameter]:
    """The adapter's parameters by name, in the order of their names."""
    named = ((name, p) for name, p in tuned.named_parameters() if p.requires_grad)
    return dict(sorted(named))


def count_parameters(tuned: PeftModel, settings: AdapterSettings) -> ParameterCount:
    """Trained and total parameters; rows that stay zero don't count as trained."""
    trained = sum(parameter.numel() for parameter in trainable_parameters(tuned).values())
    base = tuned.get_base_model()
    for path, frozen in resolve(base, settings.targets).frozen_rows.items():
        columns = settings.rank + len(_magnitudes(base.get_submodule(path)))
        trained -= int(frozen.sum()) * columns
    total = sum(count_elements(p) for name, p in base.named_parameters() if "lora_" not in name)
    return ParameterCount(trained, total)


def _magnitudes(layer: Any) -> list[nn.Parameter]:
    """DoRA's magnitude vector of a layer, if it has one."""
    vectors = getattr(layer, "lora_magnitude_vector", {})
    return [vectors["default"].weight] if "default" in vectors else []


def _masking(keep: Tensor) -> Any:
    def mask(gradient: Tensor) -> Tensor:
        kept = keep.to(gradient.device)  # the model may have been moved since
        return gradient * (kept.unsqueeze(1) if gradient.dim() == 2 else kept)

    return mask


def _check_rank(model: Any, settings: AdapterSettings) -> None:
    width = model.config.get_text_config().hidden_size
    if settings.rank > width:
        raise UserError(
            f"A LoRA rank of {settings.rank} is more than the model's width of {width}; "
            "choose a smaller --rank."
        )

"""Which device to compute on."""

from __future__ import annotations

from sentilora.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device: str) -> str:
    """The torch device for `device`; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises `UserError` for an unknown device, or one that isn't there.
    """
    import torch

    kind = device.partition(":")[0]
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if kind == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if kind not in there:
        raise UserError(f"Unknown device {device!r}; choose from {', '.join(DEVICES)}.")
    if not there[kind]:
        raise UserError(
            f"This machine has no {kind} device that torch can use. Give --device cpu, or install "
            "the torch build for it."
        )
    return device

"""Where training is random, and that it is so reproducibly.

Only the adapter's dropout is: the frozen base stays in evaluation mode. What it draws is a pure
function of (seed, step, micro-batch), so no generator's state has to be saved, and an evaluation
between two steps can't disturb it.
"""

from __future__ import annotations

import hashlib

import torch
from peft.tuners.lora import LoraLayer


def seed_dropout(seed: int, step: int, micro_batch: int) -> None:
    """Seeds torch's generators, on the CPU and the devices, for one forward pass."""
    digest = hashlib.sha256(f"{seed} {step} {micro_batch}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "big"))


def training_mode(model: torch.nn.Module) -> None:
    """Switches the adapters' dropout on and everything else to evaluation mode.

    What is to checkpoint gradients is in training mode by its flag alone, which it goes by.
    """
    model.eval()
    for module in model.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.training = True
        if isinstance(module, LoraLayer):
            # The flag alone, for .train() would reach the base's layer; DoRA drops out only if set.
            module.training = True
            module.lora_dropout.train()

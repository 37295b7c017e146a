"""Where training is random, and that it is so reproducibly.

Only the adapter's dropout is: the frozen base stays in evaluation mode. What it draws is a pure
function of (seed, step, micro-batch), so no generator's state has to be saved, and an evaluation
between two steps can't disturb it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft.tuners.lora import LoraLayer
from transformers.modeling_layers import GradientCheckpointingLayer


def seed_dropout(seed: int, step: int, micro_batch: int) -> None:
    """Seeds torch's generators, on the CPU and the devices, for one forward pass."""
    digest = hashlib.sha256(f"{seed} {step} {micro_batch}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "big"))


def training_mode(model: torch.nn.Module) -> None:
    """Switches the adapters' dropout on and everything else to evaluation mode.

    Blocks that are to checkpoint gradients are in training mode by their flag alone, which they go
    by; `evaluating_blocks` takes it off while one runs.
    """
    model.eval()
    for block in _checkpointed(model):
        block.training = True
    for module in model.modules():
        if isinstance(module, LoraLayer):
            # The flag alone, for .train() would reach the base's layer; DoRA drops out only if set.
            module.training = True
            module.lora_dropout.train()


@contextmanager
def evaluating_blocks(model: torch.nn.Module) -> Iterator[None]:
    """Blocks that checkpoint gradients without their flag, by which OPT's and others drop out."""
    training = [block for block in _checkpointed(model) if block.training]
    for block in training:
        block.training = False
    try:
        yield
    finally:
        for block in training:
            block.training = True


def _checkpointed(model: torch.nn.Module) -> list[torch.nn.Module]:
    """What is to checkpoint gradients: blocks, or what runs them in a model with code of its own.

    In transformers' own models the latter have a flag too, and nothing but dropout goes by it.
    """
    flagged = [part for part in model.modules() if getattr(part, "gradient_checkpointing", False)]
    return [part for part in flagged if isinstance(part, GradientCheckpointingLayer)] or flagged

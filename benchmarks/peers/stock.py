"""What stock transformers and PEFT users write: loading, attaching an adapter, padding."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from common import ALPHA, CHECK_STEPS, DROPOUT, RANK, Job
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def load_model(job: Job) -> Any:
    """The base in the job's dtype on its device."""
    dtype = getattr(torch, job.dtype)
    return AutoModelForCausalLM.from_pretrained(job.model, dtype=dtype).to(job.device)


def load_tokenizer(job: Job) -> Any:
    """The base's fast tokenizer, with a padding token."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(job.model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def attach(model: Any, job: Job) -> Any:
    """A fresh adapter of the reference recipe; its weights are drawn as the product draws them."""
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=DROPOUT,
        target_modules=job.modules,
        fan_in_fan_out=job.fan_in_fan_out,
    )
    torch.manual_seed(0)
    tuned = get_peft_model(model, config)
    return without_dropout(tuned) if job.mode == "check" else tuned


def without_dropout(model: Any) -> Any:
    """`model` with every dropout at 0, the base's own included."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def checked_rows(job: Job) -> int:
    """How many rows the steps of a check take."""
    return min(CHECK_STEPS * job.batch, len(job.prompts))


def batches(rows: Sequence[int], size: int, *, shuffled: bool) -> Iterator[list[int]]:
    """`rows` in batches, in their order or shuffled."""
    order = list(rows)
    if shuffled:
        random.Random(0).shuffle(order)
    for start in range(0, len(order), size):
        yield order[start : start + size]


def padded(
    sequences: Sequence[Sequence[int]], pad: int, *, left: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, T] ids and attention mask."""
    width = max(map(len, sequences))
    ids = torch.full((len(sequences), width), pad)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        place = slice(width - len(sequence), width) if left else slice(0, len(sequence))
        ids[row, place] = torch.tensor(sequence)
        mask[row, place] = 1
    return ids, mask

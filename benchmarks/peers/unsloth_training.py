"""The plain loop on a model that Unsloth loads and adapts (GPU)."""

from __future__ import annotations

from typing import Any

from unsloth import FastLanguageModel  # isort: skip  # it patches what is imported after it

import torch
from common import ALPHA, DROPOUT, RANK, Job

from peers.plain_training import train
from peers.stock import without_dropout


def run(job: Job) -> dict[str, Any]:
    model, _ = FastLanguageModel.from_pretrained(
        job.model,
        max_seq_length=job.task["max_length"],
        dtype=getattr(torch, job.dtype),
        load_in_4bit=False,
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=DROPOUT,
        target_modules=job.modules,
        use_gradient_checkpointing=False,
        random_state=0,
    )
    return train(job, without_dropout(model) if job.mode == "check" else model)

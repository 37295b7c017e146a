"""The loop that a user writes with transformers and PEFT: padded batches, full logits."""

from __future__ import annotations

from typing import Any

import torch
from common import LEARNING_RATE, Job, Stopwatch

from peers.stock import attach, batches, checked_rows, load_model, padded


def run(job: Job) -> dict[str, Any]:
    return train(job, attach(load_model(job), job))


def train(job: Job, model: Any) -> dict[str, Any]:
    """What a worker answers, for any model with an adapter."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.0)
    model.train()

    def through(rows: int, *, shuffled: bool) -> list[float]:
        losses = []
        for batch in batches(range(rows), job.batch, shuffled=shuffled):
            loss = model(**_inputs(job, batch)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss.detach()))
        return losses

    if job.mode == "check":
        return {"losses": through(checked_rows(job), shuffled=False)}
    through(job.warmup_rows, shuffled=True)
    with Stopwatch() as clock:
        through(len(job.prompts), shuffled=True)
    return {"seconds": clock.seconds}


def _inputs(job: Job, batch: list[int]) -> dict[str, torch.Tensor]:
    """Prompts with their labels behind them; only the label's token counts for the loss."""
    ids, mask = padded([[*job.prompts[row], job.labels[job.gold[row]]] for row in batch], pad=0)
    targets = torch.full_like(ids, -100)
    for row, number in enumerate(batch):
        targets[row, len(job.prompts[number])] = job.labels[job.gold[number]]
    tensors = {"input_ids": ids, "attention_mask": mask, "labels": targets}
    return {name: tensor.to(job.device) for name, tensor in tensors.items()}

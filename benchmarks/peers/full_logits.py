"""The model's forward with all of its logits, rows padded in their own order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from common import Job

from peers.picking import run_scoring
from peers.stock import load_model, padded


def run(job: Job) -> dict[str, Any]:
    model = load_model(job).eval()
    labels = torch.tensor(job.labels, device=job.device)

    @torch.inference_mode()
    def score(rows: Sequence[int], size: int) -> list[int | None]:
        found: list[int | None] = []
        for start in range(0, len(rows), size):
            batch = [job.prompts[row] for row in rows[start : start + size]]
            ids, mask = (tensor.to(job.device) for tensor in padded(batch, pad=0))
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            last = logits[torch.arange(len(batch), device=job.device), mask.sum(dim=1) - 1]
            found += last[:, labels].argmax(dim=-1).tolist()
        return found

    return run_scoring(job, score)

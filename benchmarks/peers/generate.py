"""`model.generate` of one token, rows padded in their own order."""

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
            ids, mask = padded(batch, pad=0, left=True)
            answer = model.generate(
                ids.to(job.device),
                attention_mask=mask.to(job.device),
                max_new_tokens=1,
                do_sample=False,
                pad_token_id=0,
                output_logits=True,
                return_dict_in_generate=True,
            )
            found += answer.logits[0][:, labels].argmax(dim=-1).tolist()
        return found

    return run_scoring(job, score)

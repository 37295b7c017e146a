"""The product's own scoring: `LabelScorer` on prompts that are encoded already."""

from __future__ import annotations

from typing import Any

from common import Job, Stopwatch

from sentilora.bases import load_base, resolve
from sentilora.encoding import PromptEncoder
from sentilora.scoring import LabelScorer
from sentilora.task import Task


def run(job: Job) -> dict[str, Any]:
    base = load_base(resolve(job.model), device=job.device, dtype=job.dtype)
    encoder = PromptEncoder(Task.from_dict(job.task), base.tokenizer)
    scorer = LabelScorer(base.model, encoder)
    prompts = encoder.encode(job.texts)
    if [list(prompt.ids) for prompt in prompts] != job.prompts:
        raise RuntimeError("the product's token ids aren't those that the peers were given")
    scorer.score_prompts(prompts[: job.warmup_rows])
    with Stopwatch() as clock:
        scores = scorer.score_prompts(prompts)
    return {
        "seconds": clock.seconds,
        "labels": scores.predicted.tolist(),
        "log_probs": scores.log_probs.tolist(),
        "path": scorer.path,
    }

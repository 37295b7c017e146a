"""The product's own scoring: `LabelScorer` on prompts that are encoded already.

It gives the labels' probabilities, as `sentilora predict` does; with the option `vocabulary`, their
log-probabilities over the whole vocabulary, and what greedy decoding would say, as evaluation does.
"""

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
    answer = scorer.score_prompts if job.options.get("vocabulary") else scorer.probabilities
    answer(prompts[: job.warmup_rows])
    with Stopwatch() as clock:
        answer(prompts)
    scores = scorer.score_prompts(prompts)
    return {
        "seconds": clock.seconds,
        "labels": scores.predicted.tolist(),
        "log_probs": scores.log_probs.tolist(),
        "path": scorer.path,
    }

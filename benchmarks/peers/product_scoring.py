"""The product's own scoring: `LabelScorer` on prompts that are encoded already.

It gives the labels' probabilities, as `sentilora predict` does; with the option `vocabulary`, their
log-probabilities over the whole vocabulary, and what greedy decoding would say, as evaluation does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import Job, Stopwatch
from numpy.typing import NDArray

from sentilora.bases import load_base, resolve
from sentilora.encoding import EncodedPrompt, PromptEncoder
from sentilora.scoring import LabelScorer
from sentilora.task import Task


def run(job: Job) -> dict[str, Any]:
    base = load_base(resolve(job.model), device=job.device, dtype=job.dtype)
    encoder = PromptEncoder(Task.from_dict(job.task), base.tokenizer)
    scorer = LabelScorer(base.model, encoder)
    prompts = encoder.encode(job.texts)
    if [list(prompt.ids) for prompt in prompts] != job.prompts:
        raise RuntimeError("the product's token ids aren't those that the peers were given")
    answer = _log_probs if job.options.get("vocabulary") else _log_probabilities
    answer(scorer, prompts[: job.warmup_rows])
    with Stopwatch() as clock:
        found = answer(scorer, prompts)
    return {
        "seconds": clock.seconds,
        "labels": found.argmax(axis=1).tolist(),
        "log_probs": found.tolist(),
        "path": scorer.path,
    }


def _log_probs(scorer: LabelScorer, prompts: list[EncodedPrompt]) -> NDArray[np.float32]:
    return scorer.score_prompts(prompts).log_probs


def _log_probabilities(scorer: LabelScorer, prompts: list[EncodedPrompt]) -> NDArray[np.float32]:
    return np.log(np.maximum(scorer.probabilities(prompts), 1e-30))

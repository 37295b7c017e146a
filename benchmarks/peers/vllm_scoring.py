"""vLLM, one generated token a prompt, with its prefix caching (GPU)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common import Job
from vllm import LLM, SamplingParams
from vllm.inputs import TokensPrompt

from peers.picking import label_of, run_scoring

SHOWN = 20  # likeliest tokens asked for, to find a label where another token is said


def run(job: Job) -> dict[str, Any]:
    engine = LLM(model=job.model, dtype=job.dtype, max_model_len=job.task["max_length"])
    sampling = SamplingParams(max_tokens=1, temperature=0.0, logprobs=SHOWN)

    def score(rows: Sequence[int], batch: int) -> list[int | None]:
        engine.reset_prefix_cache()  # of the warm-up's rows; the instruction is cached anew
        prompts = [TokensPrompt(prompt_token_ids=job.prompts[row]) for row in rows]
        answers = engine.generate(prompts, sampling, use_tqdm=False)
        return [_likeliest(job, answer.outputs[0].logprobs[0]) for answer in answers]

    return run_scoring(job, score)  # it makes its own batches, whatever `batch` is


def _likeliest(job: Job, shown: dict[int, Any]) -> int | None:
    found = [token for token in shown if label_of(token, job) is not None]
    best = max(found, key=lambda token: shown[token].logprob, default=None)
    return None if best is None else label_of(best, job)

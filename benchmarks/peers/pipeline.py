"""The `text-generation` pipeline as its documentation shows it: strings, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common import Job
from transformers import pipeline

from peers.picking import label_of, run_scoring
from peers.stock import load_model, load_tokenizer


def run(job: Job) -> dict[str, Any]:
    tokenizer = load_tokenizer(job)
    # A text that holds a control token is read otherwise by a pipeline; none such may be in here.
    if tokenizer(job.rendered).input_ids != job.prompts:
        raise RuntimeError("the pipeline's token ids aren't those that the others were given")
    generate = pipeline("text-generation", model=load_model(job), tokenizer=tokenizer)

    def score(rows: Sequence[int], batch: int) -> list[int | None]:
        answers = generate(
            [job.rendered[row] for row in rows],
            max_new_tokens=1,
            do_sample=False,
            return_tensors=True,
        )
        return [label_of(answer[0]["generated_token_ids"][-1], job) for answer in answers]

    return run_scoring(job, score)

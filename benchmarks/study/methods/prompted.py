"""The base as it is, asked: plainly, with contextual calibration, and with examples before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sentilora.bases import load_base, resolve
from sentilora.encoding import PromptEncoder
from sentilora.evaluation.zero_shot import CONTENT_FREE, contextual_calibration
from sentilora.scoring import LabelScorer
from sentilora.task import FIELD, Task
from study.methods import Answer, Job
from study.methods.minilm import embed
from study.methods.tuned import BASE, task_of

EXAMPLES = 8
LONGEST = 1024


def zero_shot(job: Job) -> Answer:
    """The default instruction."""
    return Answer(_asked(job, task_of(job), job.texts), 0.0, 0)


def calibrated(job: Job) -> Answer:
    """Divided by what the base says of texts without content (Zhao et al. 2021)."""
    task = task_of(job)
    found = _asked(job, task, [*CONTENT_FREE, *job.texts])
    empty, asked = found[: len(CONTENT_FREE)], found[len(CONTENT_FREE) :]
    return Answer(contextual_calibration(asked, empty), 0.0, 0)


def in_context(job: Job) -> Answer:
    """The nearest training rows, by MiniLM's embeddings, put before each text with their labels.

    The nearest stands last. Nothing is kept but the training rows themselves.
    """
    task = task_of(job)
    instruction, _, end = task.template.partition(FIELD)
    head, _, name = instruction.rpartition("\n\n")  # "Classify ...", and "Review: "
    similarity = embed(job.texts) @ embed(job.train.texts).T
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :EXAMPLES]
    examples = [
        f"{name}{text}{end}{task.spoken(task.labels[label])}"
        for text, label in zip(job.train.texts, job.train.gold, strict=True)
    ]
    texts = [
        "\n\n".join([*(examples[row] for row in reversed(rows)), f"{name}{text}"])
        for text, rows in zip(job.texts, nearest, strict=True)
    ]
    asked = Task(f"{head}\n\n{FIELD}{end}", task.labels, LONGEST)
    kept = len("\n".join(job.train.texts).encode())
    return Answer(_asked(job, asked, texts), 0.0, kept)


def _asked(job: Job, task: Task, texts: list[str]) -> NDArray[np.float32]:
    base = load_base(resolve(BASE), device=job.device)
    scorer = LabelScorer(base.model, PromptEncoder(task, base.tokenizer))
    return scorer.score(texts).probabilities

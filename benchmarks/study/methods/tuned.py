"""SmolLM2 with LoRA: the product's label generation, every setting at its default unless the cell
says otherwise; and what the classification head has in common with it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from sentilora.adapters import AdapterSettings
from sentilora.bases import load_base, resolve
from sentilora.scoring import LabelScorer
from sentilora.task import Task
from sentilora.training import TrainSettings, choose_settings
from sentilora.tuning import Labelled, Tuning, prepare, tune
from study.methods import Answer, Job, pissa

BASE = "smollm2"
_ADAPTER = AdapterSettings.__dataclass_fields__.keys()
_TASK = ("template", "max_length", "long_texts")
_TRAINING = TrainSettings.__dataclass_fields__.keys()


def tuned(job: Job) -> Answer:
    """As `sentilora train` and `LabelTuner` do it on these rows."""
    return tune_and_ask(job, lambda tuning: tuning.scorer)


def windowed(job: Job) -> Answer:
    """The same, but long texts are read whole: in windows, whose log-probabilities are averaged."""
    return tune_and_ask(job, lambda tuning: tuning.scorer, in_windows)


def whole(scorer: LabelScorer, texts: list[str]) -> NDArray[np.float32]:
    """[N, K] probabilities of the texts, each cut to what fits."""
    return scorer.score_prompts(scorer.encoder.encode(texts)).probabilities


def in_windows(scorer: LabelScorer, texts: list[str]) -> NDArray[np.float32]:
    """[N, K] probabilities: of each text's windows, which fit, the normalised geometric mean."""
    encoder = scorer.encoder
    around = len(encoder.encode(["a"])[0].ids) + max(map(len, encoder.label_ids))
    room = encoder.task.max_length - around
    windows, owners = [], []
    for row, text in enumerate(texts):
        offsets = encoder.tokenizer(text, return_offsets_mapping=True, verbose=False).offset_mapping
        count = -(-len(offsets) // room)
        width = -(-len(offsets) // count)  # windows of like length, not one of a few words
        for start in range(0, len(offsets), width):
            last = offsets[min(start + width, len(offsets)) - 1]
            windows.append(text[offsets[start][0] : last[1]])
            owners.append(row)
    found = np.log(np.maximum(whole(scorer, windows), 1e-12))
    sums = np.zeros((len(texts), found.shape[1]))
    np.add.at(sums, owners, found)
    return softmax(sums / np.bincount(owners)[:, np.newaxis], axis=1)


def tune_and_ask(
    job: Job,
    scorer_of: Callable[[Tuning], LabelScorer],
    ask: Callable[[LabelScorer, list[str]], NDArray[np.floating]] = whole,
) -> Answer:
    """Train what `scorer_of` makes of a fresh adapter, and `ask` it for the job's texts.

    The cell's options are fields of the training's and the adapter's settings, `template`,
    `subject`, `max_length`, `long_texts`, and `words`: what stands for the data's labels; `pissa`;
    and `quantize`, the kind of few bits that the base is held in.
    """
    options = {"seed": job.seed, **job.options}
    held = job.validation
    validation = Labelled(held.texts, held.gold) if held else Labelled([], [])
    given = {name: value for name, value in options.items() if name in _TRAINING}
    sizes = len(job.train.texts), len(validation.texts), len(job.data.labels)
    chosen = choose_settings(given, *sizes)
    adapter = AdapterSettings(**{k: v for k, v in options.items() if k in _ADAPTER})
    base = load_base(resolve(BASE), device=job.device, quantize=options.get("quantize"))
    started = time.monotonic()
    made = pissa.prepare if job.options.get("pissa") else prepare
    tuning = made(base, task_of(job), adapter, job.seed)
    scorer = scorer_of(tuning)
    with tempfile.TemporaryDirectory() as folder:
        rows = Labelled(job.train.texts, job.train.gold)
        trained = [p for p in tuning.model.parameters() if p.requires_grad]
        tuned = replace(tuning, scorer=scorer)
        result = tune(tuned, rows, validation, chosen.settings, Path(folder))
    seconds = time.monotonic() - started
    saved = sum(parameter.numel() * parameter.element_size() for parameter in trained)
    found = ask(scorer, job.texts)
    return Answer(result.correction.apply(found), seconds, saved, found.argmax(axis=1))


def task_of(job: Job) -> Task:
    """The default question, unless the cell words it."""
    words = job.options.get("words", {})
    labels = tuple(words.get(label, label) for label in job.data.labels)
    task = Task.default(labels, job.options.get("subject", job.data.subject))
    given = {name: job.options[name] for name in _TASK if name in job.options}
    return replace(task, **given)

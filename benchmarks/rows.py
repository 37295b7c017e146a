"""The rows that everybody gets, and the job that holds them."""

from __future__ import annotations

import random
from itertools import cycle, islice
from pathlib import Path

from common import Job
from settings import Settings

from models import adapters_of, context_length, model_folder
from sentilora.bases import load_tokenizer, prepare_base, resolve
from sentilora.data import load_data
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.task import Task


def make_job(settings: Settings, *, training: bool) -> Job:
    """A job with `settings.rows` rows, encoded; its module is still to be filled in."""
    folder = model_folder(settings.model, settings.tokenizers)
    dataset = load_data(settings.data)
    rows = [(example.text, example.label) for example in dataset.train]
    random.Random(0).shuffle(rows)
    texts = [text for text, _ in rows]
    if settings.words is not None:
        texts = texts_of(texts, settings.words, settings.rows)
    texts = list(islice(cycle(texts), settings.rows))
    gold = list(islice(cycle(label for _, label in rows), settings.rows))
    length = min(1024, context_length(folder))
    task = Task.default(dataset.labels, dataset.subject, length)
    return _encoded(settings, folder, task, texts, gold, training)


def texts_of(pool: list[str], words: int, count: int) -> list[str]:
    """`count` texts of exactly so many words each, cut from the pool's one after the other."""
    stream = cycle(word for text in pool for word in text.split())
    return [" ".join(islice(stream, words)) for _ in range(count)]


def _encoded(
    settings: Settings, folder: Path, task: Task, texts: list[str], gold: list[int], training: bool
) -> Job:
    tokenizer = load_tokenizer(prepare_base(resolve(str(folder))))
    encoder = PromptEncoder(task, tokenizer)
    if any(len(ids) != 1 for ids in encoder.label_ids):
        raise UserError("The peers score labels of one token; this data or base has longer ones.")
    prompts = encoder.encode(texts)
    shared = sum(len(encoder.prefix_ids) for prompt in prompts if prompt.shared)
    adapters = adapters_of(folder)
    return Job(
        module="",
        model=str(folder),
        device=settings.device,
        dtype=settings.dtype,
        threads=settings.threads,
        batch=settings.batch,
        task=task.to_dict(),
        texts=texts,
        rendered=[task.render(text) for text in texts],
        prompts=[list(prompt.ids) for prompt in prompts],
        gold=gold,
        labels=[ids[0] for ids in encoder.label_ids],
        own_tokens=(sum(len(prompt.ids) for prompt in prompts) - shared) / len(prompts),
        modules=adapters.modules,
        fan_in_fan_out=adapters.fan_in_fan_out,
        fused=adapters.fused,
        training=training,
    )

"""What each of the product's ways to be fast gains alone; README.md says how to run it.

Everything is on, then one thing at a time is off, round by round in one process. What stands in
brackets is no such way, but shows what it costs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from common import ALPHA, DROPOUT, RANK, Job
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rows import make_job
from settings import parse
from tables import heading, write_json

from sentilora.adapters import AdapterSettings
from sentilora.bases import load_base, resolve
from sentilora.encoding import EncodedPrompt
from sentilora.errors import UserError
from sentilora.merging import Merger
from sentilora.scoring.engine import PlainEngine, SharedEngine
from sentilora.scoring.frozen import FrozenEngine, engine
from sentilora.scoring.frozen.dropout import Dropout
from sentilora.task import Task
from sentilora.training.order import batches_of_epoch
from sentilora.training.randomness import training_mode
from sentilora.tuning import prepare


class Bench:
    """A model with its adapter and rows, and a pass over them."""

    def __init__(self, job: Job) -> None:
        base = load_base(resolve(job.model), device=job.device, dtype=job.dtype)
        adapter = AdapterSettings(RANK, ALPHA, DROPOUT)
        tuning = prepare(base, Task.from_dict(job.task), adapter, seed=0)
        self.job, self.model, self.scorer = job, tuning.model, tuning.scorer
        self.gold = job.gold
        self.prompts = self.scorer.encoder.encode(job.texts)
        self.sorted = True

    def train(self) -> float:
        """Seconds of an epoch, forward and backward."""
        training_mode(self.model)
        lengths = [len(prompt.ids) if self.sorted else 0 for prompt in self.prompts]
        began = time.perf_counter()
        for batch in batches_of_epoch(lengths, 0, 0, self.job.batch):
            self.model.zero_grad()
            prompts = [self.prompts[row] for row in batch]
            self.scorer.loss(prompts, [self.gold[row] for row in batch]).mean().backward()
        return time.perf_counter() - began

    def score(self) -> float:
        """Seconds of scoring everything."""
        began = time.perf_counter()
        if self.sorted:
            self.scorer.score_prompts(self.prompts)
        else:  # batches in the rows' order
            for start in range(0, len(self.prompts), self.job.batch):
                self.scorer.score_prompts(self.prompts[start : start + self.job.batch])
        return time.perf_counter() - began

    def probabilities(self) -> float:
        """Seconds of scoring everything for the labels' probabilities alone."""
        began = time.perf_counter()
        self.scorer.probabilities(self.prompts)
        return time.perf_counter() - began

    @contextmanager
    def path(self, kind: Any) -> Iterator[None]:
        """Another engine."""
        own = self.scorer._engine
        causal_lm = self.model.get_base_model()
        self.scorer._engine = kind(causal_lm, self.scorer.encoder.prefix_ids)
        try:
            yield
        finally:
            self.scorer._engine = own

    @contextmanager
    def rows(self, prompts: list[EncodedPrompt]) -> Iterator[None]:
        own, self.prompts = self.prompts, prompts
        try:
            yield
        finally:
            self.prompts = own

    @contextmanager
    def merged(self) -> Iterator[None]:
        merger = Merger(self.model)
        merger.merge()
        try:
            yield
        finally:
            merger.unmerge()

    @contextmanager
    def without_dropout(self) -> Iterator[None]:
        drops = [m for m in self.model.modules() if isinstance(m, torch.nn.Dropout) and m.p > 0]
        before = [drop.p for drop in drops]
        for drop in drops:
            drop.p = 0.0
        try:
            yield
        finally:
            for drop, p in zip(drops, before, strict=True):
                drop.p = p


@contextmanager
def instead(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value`, within a `with` block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def stock_dropout(self: Dropout, like: torch.Tensor, make: Any) -> torch.Tensor:
    """What torch offers for a mask."""
    chosen = torch.bernoulli(torch.full(like.shape, self.keep), generator=self.generator)
    return make(tuple(like.shape), torch.int8).copy_(chosen)


Way = tuple[str, Callable[[], float], Callable[[], Any]]


def ways(bench: Bench) -> list[Way]:
    """(name, what is timed, what is changed) for all that is switched off."""
    whole = [replace(prompt, shared=False) for prompt in bench.prompts]
    never = 10**9
    return [
        ("training", bench.train, nullcontext),
        ("without the frozen body: the library's, instruction shared", bench.train,
         lambda: bench.path(SharedEngine)),
        ("without any: padded rows, every logit", bench.train, lambda: bench.path(PlainEngine)),
        ("without parts side by side", bench.train,
         lambda: instead(engine, "_LEAST_TOKENS", never)),
        ("without sharing the instruction", bench.train, lambda: bench.rows(whole)),
        ("without length buckets", bench.train, lambda: instead(bench, "sorted", False)),
        ("with torch's bernoulli for dropout", bench.train,
         lambda: instead(Dropout, "draw", stock_dropout)),
        ("(no dropout at all)", bench.train, bench.without_dropout),
        ("scoring", bench.score, nullcontext),
        ("without the frozen body: the library's, instruction shared", bench.score,
         lambda: bench.path(SharedEngine)),
        ("without any: padded rows, every logit", bench.score, lambda: bench.path(PlainEngine)),
        ("without parts side by side", bench.score,
         lambda: instead(engine, "_LEAST_TOKENS", never)),
        ("without sharing the instruction", bench.score, lambda: bench.rows(whole)),
        ("without keeping the instruction's keys", bench.score,
         lambda: instead(engine, "_ROWS_FOR_PREFIX", never)),
        ("without length buckets", bench.score, lambda: instead(bench, "sorted", False)),
        ("(labels' probabilities alone)", bench.probabilities, nullcontext),
        ("(adapter merged)", bench.score, bench.merged),
    ]  # fmt: skip


def main() -> None:
    settings = parse(__doc__.splitlines()[0], rows=256)
    torch.set_num_threads(settings.threads)
    job = make_job(settings, training=True)
    bench = Bench(job)
    if bench.scorer.path != FrozenEngine.__name__:
        raise UserError(f"{settings.model} takes the {bench.scorer.path}; there is less to switch.")
    every = ways(bench)
    seconds: list[list[float]] = [[] for _ in every]
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=len(every) * settings.rounds)
        bench.train()
        for _ in range(settings.rounds):
            for (_, timed, changed), found in zip(every, seconds, strict=True):
                with changed():
                    found.append(timed())
                progress.advance(task)
    table = Table(title=heading(settings, job), title_justify="left")
    for name in ("", "rows/s", "as fast as with all"):
        table.add_column(name, justify="left" if not name else "right")
    lines, best = [], 1.0
    for (name, _, _), found in zip(every, seconds, strict=True):
        rate = len(job.prompts) / median(found)
        best = rate if name in ("training", "scoring") else best
        lines.append({"name": name, "rows_per_second": rate, "of_all": rate / best})
        table.add_row(name, f"{rate:.3g}", f"{rate / best:.2f}x")
    Console(width=110).print(table)
    write_json(settings, {"tricks": lines})


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"Error: {error}")

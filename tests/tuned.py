"""Tiny bases in memory and on disk, and adapters trained on them for a few steps.

Only `train` takes time, a fraction of a second; what is made here is made anew each time, since
tuning changes a model in place.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from models import VOCABULARY, tiny_model
from sentilora.adapters import AdapterSettings, attach
from sentilora.artifact import Artifact, RowHashes
from sentilora.bases import BaseIdentity, LoadedBase, load_base, resolve
from sentilora.projections import resolve as resolve_projections
from sentilora.task import Task
from sentilora.training import FitResult, TrainSettings
from sentilora.tuning import Labelled, Tuning, prepare, save, tune
from tiny_tokenizers import byte_level

TASK = Task("Review: {text}\nSentiment:", ("negative", "positive"), max_length=96)
TEXTS = (
    "a gorgeous, witty, seductive movie",
    "simplistic, silly and tedious",
    "it's so laddish and juvenile",
    "an utterly compelling 'who wrote it'",
    "the film is n't very good",
    "some of the best special effects ever",
    "very negative",
    "one two three four five six seven",
)
GOLD = (1, 0, 0, 1, 0, 1, 0, 1)
# Two epochs of two batches, with decay, which must not touch frozen rows.
SETTINGS = TrainSettings(epochs=2, batch_size=4, learning_rate=0.02, weight_decay=0.1)


def base_in_memory(model: Any, hub_name: str | None = "someone/tiny") -> LoadedBase:
    """A base as `load_base` gives it; `hub_name` None makes it one from disk."""
    assert len(byte_level()) <= VOCABULARY
    origin = "folder" if hub_name is None else "hub"
    name = hub_name or "models/tiny"
    identity = BaseIdentity(
        origin=origin,
        name=name,
        revision=None,
        hub_name=hub_name,
        path=name if origin == "folder" else None,
        fingerprint="0" * 64,
        quantization=None,
        dtype=str(model.dtype).removeprefix("torch."),
        licence="apache-2.0",
    )
    return LoadedBase(model.requires_grad_(False), byte_level(), identity, "as asked for")


def write_base(folder: Path, architecture: str = "llama", seed: int = 0) -> Path:
    """A tiny base with its tokenizer, as a folder in the Hub's layout."""
    tiny_model(architecture, seed).save_pretrained(folder)
    byte_level().save_pretrained(folder)
    return folder


def load_from(folder: Path) -> LoadedBase:
    return load_base(resolve(str(folder)), device="cpu", dtype="float32")


def train(
    base: LoadedBase,
    run_dir: Path,
    adapter: AdapterSettings | None = None,
    settings: TrainSettings = SETTINGS,
    task: Task = TASK,
) -> tuple[Tuning, FitResult]:
    """An adapter trained by the product's own loop."""
    tuning = prepare(base, task, adapter or AdapterSettings(rank=4), seed=3)
    rows = Labelled(TEXTS, GOLD)
    return tuning, tune(tuning, rows, rows, settings, run_dir)


def save_tuned(tuning: Tuning, result: FitResult, folder: Path) -> Artifact:
    rows = RowHashes(train=("0123456789abcdef",), validation=("fedcba9876543210",), test=())
    return save(tuning, result, SETTINGS, rows, folder, "tiny reviews")


def randomise_b(tuned: Any, targets: tuple[str, ...], seed: int = 0) -> None:
    """Draw B in all rows but the frozen ones."""
    base = tuned.get_base_model()
    frozen = resolve_projections(base, targets).frozen_rows
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in base.named_parameters():
            if ".lora_B." in name:
                drawn = torch.randn(parameter.shape, generator=generator) * 0.1
                rows = frozen.get(name.partition(".lora_B.")[0])
                if rows is not None:
                    drawn[rows] = 0
                parameter.copy_(drawn)


def attached(model: Any, **settings: Any) -> Any:
    """`model` with an adapter without dropout, B drawn in the rows that may change."""
    adapter = replace(AdapterSettings(rank=4, dropout=0.0), **settings)
    tuned = attach(model, adapter, seed=1)
    randomise_b(tuned, adapter.targets)
    return tuned.eval()

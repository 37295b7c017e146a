"""TRL's `SFTTrainer`, completion-only, on a data set that is tokenised already.

Its defaults stand, but for what makes the results comparable: token ids, learning rate, no decay of
weights or learning rate. `options` are those of `SFTConfig` by which the variants differ.
"""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from common import LEARNING_RATE, Job, Stopwatch
from datasets import Dataset, disable_progress_bars
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from peers.stock import attach, checked_rows, load_model, load_tokenizer


def run(job: Job) -> dict[str, Any]:
    disable_progress_bars()
    model = attach(load_model(job), job)
    if job.mode == "check":
        return {"losses": _Recording.losses_of(_trainer(job, model, checked_rows(job), _Recording))}
    _trainer(job, model, job.warmup_rows).train()
    clock = _Clock()
    _trainer(job, model, len(job.prompts), callbacks=[clock]).train()
    return {"seconds": clock.watch.seconds}


class _Recording(SFTTrainer):
    """Keeps each step's loss as it is, for the log rounds it."""

    losses: list[float]

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        self.losses.append(float(loss))
        return loss

    @staticmethod
    def losses_of(trainer: Any) -> list[float]:
        trainer.losses = []
        trainer.train()
        return trainer.losses


class _Clock(TrainerCallback):
    def __init__(self) -> None:
        self.watch = Stopwatch()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.watch.start()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.watch.stop()


def _trainer(
    job: Job,
    model: Any,
    rows: int,
    kind: type[SFTTrainer] = SFTTrainer,
    callbacks: list[TrainerCallback] | None = None,
) -> SFTTrainer:
    return kind(
        model=model,
        args=_config(job),
        train_dataset=_dataset(job, rows),
        processing_class=load_tokenizer(job),
        callbacks=callbacks,
    )


def _dataset(job: Job, rows: int) -> Dataset:
    """Prompt and label as ids, and which of them count for the loss."""
    ids = [[*job.prompts[row], job.labels[job.gold[row]]] for row in range(rows)]
    mask = [[0] * (len(row) - 1) + [1] for row in ids]
    return Dataset.from_dict({"input_ids": ids, "completion_mask": mask})


def _config(job: Job) -> SFTConfig:
    given = dict(job.options)
    size = job.batch
    if given.get("packing"):  # a pack holds many rows: as many packs as hold about one batch
        mean = sum(map(len, job.prompts)) / len(job.prompts) + 1
        size = max(1, round(job.batch * mean / given["max_length"]))
    return SFTConfig(
        output_dir=tempfile.mkdtemp(prefix="benchmark-"),
        per_device_train_batch_size=size,
        num_train_epochs=1,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        completion_only_loss=True,
        bf16=job.dtype == "bfloat16",
        use_cpu=job.device == "cpu",
        train_sampling_strategy="sequential" if job.mode == "check" else "random",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **given,
    )

"""From a base and labelled texts to a tuned, measured and saved adapter.

`prepare`, `tune` and `save` are what the command line and `LabelTuner` have in common; `finish`
measures the result beside its baselines before it is saved.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from peft import PeftModel

from sentilora.adapters import (
    AdapterSettings,
    ParameterCount,
    attach,
    count_parameters,
)
from sentilora.artifact import Artifact, RowHashes, save_artifact
from sentilora.bases import LoadedBase
from sentilora.canary import Canary
from sentilora.classifier import Classifier
from sentilora.data import DataSet
from sentilora.data.dataset import HubAddress
from sentilora.devices import return_freed_memory
from sentilora.encoding import PromptEncoder, tokenizer_fingerprint
from sentilora.errors import UserError
from sentilora.evaluation import Evaluation
from sentilora.evaluation.measuring import Scoring, measure
from sentilora.evaluation.selection import select_rows
from sentilora.model_card import model_card
from sentilora.scoring import LabelScorer
from sentilora.scoring.scorer import TOKEN_BUDGET
from sentilora.task import Task
from sentilora.training import (
    FOLDER,
    Checkpoint,
    FitResult,
    Reporter,
    Rows,
    TrainSettings,
    fit,
)
from sentilora.training.randomness import evaluating_blocks


@dataclass(frozen=True)
class Labelled:
    """N texts and their label indices."""

    texts: Sequence[str]
    gold: Sequence[int]


@dataclass(frozen=True)
class Tuning:
    """A base made ready to be tuned on a task: adapter attached, scorer checked."""

    base: LoadedBase
    model: PeftModel
    scorer: LabelScorer
    adapter: AdapterSettings
    parameters: ParameterCount


def prepare(
    base: LoadedBase,
    task: Task,
    adapter: AdapterSettings,
    seed: int,
    *,
    gradient_checkpointing: bool = False,
    token_budget: int = TOKEN_BUDGET,
) -> Tuning:
    """Attach a fresh adapter to `base` and make the scorer that trains and uses it.

    With `gradient_checkpointing` the model is one that does it whenever it is trained; see
    `TrainSettings`. `token_budget` is the scorer's.
    """
    encoder = PromptEncoder(task, base.tokenizer)
    model = attach(base.model, adapter, seed)
    if gradient_checkpointing:
        checkpoint_gradients(base)
    scorer = LabelScorer(model, encoder, token_budget=token_budget)
    return Tuning(base, model, scorer, adapter, count_parameters(model, adapter))


def checkpoint_gradients(base: LoadedBase) -> None:
    """Have the base keep only its blocks' inputs for a backward pass.

    Raises UserError where its architecture can't.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """What a block's forward pass is run in, and its repetition in the backward pass."""
        return evaluating_blocks(base.model), evaluating_blocks(base.model)

    try:
        base.model.activation_checkpointing_enable({"use_reentrant": False, "context_fn": contexts})
        if base.model.device.type == "cpu":  # memory is what it is for
            return_freed_memory()
    except ValueError:
        raise UserError(
            f"{base.identity.name} can't checkpoint gradients: its architecture has no support for "
            "it. Leave --gradient-checkpointing out, and lower --micro-batch instead."
        ) from None


def tune(
    tuning: Tuning,
    train: Labelled,
    validation: Labelled,
    settings: TrainSettings,
    run_dir: Path,
    *,
    reporter: Reporter | None = None,
    resume_from: Checkpoint | None = None,
) -> FitResult:
    """Train the adapter; `tuning.model` holds the best weights afterwards."""
    encode = tuning.scorer.encoder.encode
    base = tuning.base.identity
    what = {"task": tuning.scorer.encoder.task.to_dict(), "adapter": tuning.adapter.to_dict()}
    result = fit(
        tuning.scorer,
        Rows(encode(train.texts), train.gold),
        Rows(encode(validation.texts), validation.gold),
        settings,
        run_dir,
        reporter=reporter,
        resume_from=resume_from,
        fingerprint={
            "base": " ".join(filter(None, (base.fingerprint, base.quantized))),
            "task and adapter": hashlib.sha256(json.dumps(what).encode()).hexdigest(),
        },
    )
    tuning.model.eval().requires_grad_(False)
    return result


def finish(
    tuning: Tuning,
    result: FitResult,
    settings: TrainSettings,
    dataset: DataSet,
    run_dir: Path,
    scoring: Scoring,
) -> Evaluation:
    """Measure the tuned adapter on the test rows, save it, and drop the run's checkpoints."""
    rows = RowHashes.of(**{split: labelled(dataset, split).texts for split in _SPLITS})
    classifier = Classifier(
        tuning.scorer,
        tuning.base.identity,
        correction=result.correction,
        conformal=result.conformal,
    )
    selection = select_rows(dataset, None, rows.train, rows.test, rows.validation)
    evaluation = measure(classifier, dataset, rows, selection, scoring)
    save(tuning, result, settings, rows, run_dir, dataset.name, dataset.hub, evaluation)
    shutil.rmtree(run_dir / FOLDER)
    return evaluation


def save(
    tuning: Tuning,
    result: FitResult,
    settings: TrainSettings,
    rows: RowHashes,
    folder: Path,
    data_name: str,
    data_hub: HubAddress | None = None,
    evaluation: Evaluation | None = None,
) -> Artifact:
    """Write the adapter folder, with the card; `evaluation` is what is claimed of it."""
    encoder = tuning.scorer.encoder
    return save_artifact(
        folder,
        tuning.model,
        task=encoder.task,
        base=tuning.base.identity,
        adapter=tuning.adapter,
        tokenizer_fingerprint=tokenizer_fingerprint(encoder.tokenizer),
        canary=Canary.sing(tuning.scorer, tuning.base.identity.dtype),
        metrics={
            "evaluation": evaluation and evaluation.to_dict(),
            "history": result.history,
            "best_step": result.best_step,
            "steps": result.steps,
            "seconds": round(result.seconds, 1),
            "peak_memory_bytes": result.peak_memory,
            "parameters": {"trained": tuning.parameters.trained, "total": tuning.parameters.total},
            "environment": result.environment,
        },
        rows=rows,
        correction=result.correction,
        conformal=result.conformal,
        card=model_card(
            name=folder.absolute().name,
            task=encoder.task,
            base=tuning.base.identity,
            adapter=tuning.adapter,
            parameters=tuning.parameters,
            training=settings.to_dict(),
            data_name=data_name,
            data_hub=data_hub,
            row_counts={split: len(getattr(rows, split)) for split in _SPLITS},
            correction=result.correction,
            evaluation=evaluation,
        ),
    )


_SPLITS = ("train", "validation", "test")


def labelled(dataset: DataSet, split: str) -> Labelled:
    """The texts and label indices of a split."""
    rows = dataset.split(split)
    return Labelled([row.text for row in rows], [row.label for row in rows])

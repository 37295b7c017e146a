"""`LabelTuner`: tuning as a scikit-learn estimator.

It clones, goes into a Pipeline, `cross_val_score` and `GridSearchCV`, and saves the same folder as
`sentilora train`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sentilora.adapters import AdapterSettings
from sentilora.artifact import DESCRIPTION, FILES, RowHashes
from sentilora.bases import LoadedBase, load_base, resolve
from sentilora.classifier import Classifier
from sentilora.cutting import LongTexts
from sentilora.data import Example
from sentilora.data.dataset import TRAIN, VALIDATION
from sentilora.data.splits import cut_splits
from sentilora.devices import resolve_device
from sentilora.errors import UserError
from sentilora.roles import parse_roles
from sentilora.task import Task
from sentilora.texts import checked_texts
from sentilora.training import FitResult, TrainSettings, choose_settings
from sentilora.training.settings import ClassWeight
from sentilora.tuning import Labelled, Tuning, prepare, save, tune

_TRAINING = ("epochs", "learning_rate", "batch_size", "patience", "class_weight")


@dataclass(frozen=True)
class _Fitted:
    """What is kept of a fit, to be saved."""

    tuning: Tuning
    result: FitResult
    settings: TrainSettings
    rows: RowHashes


class LabelTuner(ClassifierMixin, BaseEstimator):
    """Tunes a causal LM to generate the label of a text.

    Parameters
    ----------
    model
        `smollm2`, a Hub name, a model folder, or a GGUF file.
    template
        The instruction with `{text}`; None words it for the labels.
    subject
        What the default instruction calls a text.
    max_length, long_texts
        Tokens of a prompt with its label, and what is kept of a text that is cut to fit; see
        `Task`.
    rank, alpha, dropout, targets
        LoRA's; see `AdapterSettings`.
    epochs, learning_rate, batch_size, patience, class_weight
        See `TrainSettings`; None for `epochs` and `batch_size` goes by the number of rows, for
        `learning_rate` by those of rows and labels (so a fold of a cross-validation may be trained
        otherwise than all rows are: give them to compare like with like). All rows are trained on,
        and the last weights kept; with `patience` a tenth of the rows is held out, and the weights
        kept are those that were best there.
    random_state
        Of the held-out rows, the adapter's start, the rows' order and dropout.
    device, dtype
        As for `sentilora.load`.
    quantize
        "nf4" or "int8" holds the base's weights in 4 or 8 bits.

    Attributes
    ----------
    classes_
        [K] the labels, sorted; the columns of `predict_proba`.
    classifier_
        The tuned `Classifier`.
    history_
        The evaluations on the held-out rows, the untuned base's first; empty without `patience`.
    """

    def __init__(
        self,
        model: str = "smollm2",
        *,
        template: str | None = None,
        subject: str = "text",
        max_length: int = 512,
        long_texts: LongTexts = "ends",
        rank: int = 8,
        alpha: float = 32.0,
        dropout: float = 0.1,
        targets: str | Sequence[str] = "query,value",
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        class_weight: ClassWeight | None = None,
        random_state: int = 0,
        device: str = "auto",
        dtype: str | None = None,
        quantize: str | None = None,
    ) -> None:
        self.model = model
        self.template = template
        self.subject = subject
        self.max_length = max_length
        self.long_texts = long_texts
        self.rank = rank
        self.alpha = alpha
        self.dropout = dropout
        self.targets = targets
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.patience = patience
        self.class_weight = class_weight
        self.random_state = random_state
        self.device = device
        self.dtype = dtype
        self.quantize = quantize

    def fit(self, X: Sequence[str], y: Sequence[Any]) -> Self:
        """Tune on texts `X` [N] and labels `y` [N]; labels are shown to the model as strings.

        Raises `UserError` (a ValueError) where a text is no string or empty, or there are fewer
        than two labels; ValueError for labels that are no classes.
        """
        texts, labels = checked_texts(X), column_or_1d(y, warn=True)
        if len(texts) != len(labels):
            raise UserError(f"There are {len(texts)} texts and {len(labels)} labels.")
        check_classification_targets(labels)
        classes, gold = np.unique(labels, return_inverse=True)
        adapter, given = self._settings()
        seed = TrainSettings(**given).seed  # all that was given is checked before rows are cut
        train, validation = Labelled(texts, gold.tolist()), Labelled([], [])
        if self.patience is not None:
            train, validation = _hold_out(texts, gold.tolist(), seed)
        sizes = len(train.texts), len(validation.texts), len(classes)
        settings = choose_settings(given, *sizes).settings
        task = self._task(classes)  # checked before a base is fetched
        tuning = prepare(self._load_base(), task, adapter, seed)
        with tempfile.TemporaryDirectory(prefix="sentilora-") as folder:
            result = tune(tuning, train, validation, settings, Path(folder))
        self.classes_, self.history_ = classes, result.history
        self.classifier_ = Classifier(
            tuning.scorer,
            tuning.base.identity,
            correction=result.correction,
            conformal=result.conformal,
        )
        used = RowHashes.of(train=train.texts, validation=validation.texts, test=())
        self._fitted = _Fitted(tuning, result, settings, used)
        return self

    def predict(self, X: Sequence[str]) -> NDArray[Any]:
        """[N] the label chosen for each text, of the type that `y` had."""
        check_is_fitted(self)
        return self.classes_[self.classifier_.decide(X)[0]]

    def predict_proba(self, X: Sequence[str]) -> NDArray[np.float32]:
        """[N, K] each label's probability, given that it is one of the labels."""
        check_is_fitted(self)
        return self.classifier_.predict_proba(X)

    def save(self, path: str | Path) -> None:
        """Write the adapter folder, which `sentilora.load` and the command line read.

        Raises `UserError` where the folder holds anything but an adapter, which is replaced.
        """
        check_is_fitted(self)
        fitted, folder = self._fitted, Path(path)
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if there and (DESCRIPTION not in there or there - FILES):  # such as a run's run.json
            raise UserError(f"{folder} already holds other files. Choose a new folder.")
        save(
            fitted.tuning,
            fitted.result,
            fitted.settings,
            fitted.rows,
            folder,
            "own texts",
        )

    def _settings(self) -> tuple[AdapterSettings, dict[str, Any]]:
        """The adapter's settings, and what was given of the training's.

        A search over `np.arange` gives numpy's numbers for Python's.
        """
        given = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in self.get_params(deep=False).items()
        }
        adapter = AdapterSettings(
            rank=given["rank"],
            alpha=given["alpha"],
            dropout=given["dropout"],
            targets=parse_roles(given["targets"]),
        )
        training = {name: given[name] for name in _TRAINING if given[name] is not None}
        return adapter, {**training, "seed": given["random_state"]}

    def _load_base(self) -> LoadedBase:
        return load_base(
            resolve(self.model),
            device=resolve_device(self.device),
            dtype=self.dtype,
            quantize=self.quantize,
        )

    def _task(self, classes: NDArray[Any]) -> Task:
        labels, length = tuple(str(label) for label in classes), int(self.max_length)
        if self.template is None:
            task = Task.default(labels, self.subject, length)
        else:
            task = Task(self.template, labels, length)
        return replace(task, long_texts=self.long_texts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _hold_out(texts: Sequence[str], gold: Sequence[int], seed: int) -> tuple[Labelled, Labelled]:
    """Train and validation rows: a tenth of each label's, repeats of a text on one side."""
    rows = [
        Example(text, label, row, TRAIN)
        for row, (text, label) in enumerate(zip(texts, gold, strict=True), start=1)
    ]
    cut = cut_splits(rows, [VALIDATION], seed)
    if not cut[VALIDATION]:
        raise UserError(
            "No label has two different texts, so none can be held out to choose the best weights. "
            "Give more rows."
        )
    train, validation = (
        Labelled([row.text for row in cut[split]], [row.label for row in cut[split]])
        for split in (TRAIN, VALIDATION)
    )
    return train, validation

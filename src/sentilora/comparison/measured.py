"""What a finished run measures on the comparison's rows, kept so that it is measured once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from sentilora.artifact import WEIGHTS, Artifact
from sentilora.comparison.labels import in_order
from sentilora.devices import processor
from sentilora.evaluation.calibration import Bin, reliability
from sentilora.evaluation.errors import WrongAnswer, worst_errors
from sentilora.evaluation.measuring import Scoring
from sentilora.evaluation.metrics import Metrics, score_metrics
from sentilora.files import read_json, sha256, write_json
from sentilora.printable import printable

if TYPE_CHECKING:
    from sentilora.classifier import Classifier
    from sentilora.data.dataset import Example
    from sentilora.scoring import Scores

ONE_BY_ONE = 20  # texts that are asked for alone, for the latency
SHOWN = 5  # errors of a run


@dataclass(frozen=True)
class Measured:
    """One run on N rows.

    predicted
        [N] class ids.
    untuned
        The base's figures under the same prompt.
    parameters, trained
        Of the base, and of the adapter.
    train_seconds, peak_bytes
        Of its training; the peak is of the process that ended it.
    trained_on, asked_on
        The processors that its training's figures, and those of latency and speed, are of.
    adapter_bytes
        Of the adapter's weights on disk.
    latency
        Seconds for one text, median.
    rows_per_second
        In one job.
    bins
        The reliability diagram's data.
    worst
        The wrong answers that it is surest of.
    """

    base: str
    predicted: tuple[int, ...]
    tuned: Metrics
    untuned: Metrics
    parameters: int
    trained: int
    train_seconds: float
    peak_bytes: int | None
    trained_on: str
    asked_on: str
    adapter_bytes: int
    latency: float
    rows_per_second: float
    bins: tuple[Bin, ...]
    worst: tuple[WrongAnswer, ...]

    def to_dict(self) -> dict[str, Any]:
        figures = {"tuned": self.tuned.to_dict(), "untuned": self.untuned.to_dict()}
        values = {**asdict(self), **figures}
        return values | {name: list(values[name]) for name in ("predicted", "bins", "worst")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measured:
        return cls(
            **{
                **values,
                "predicted": tuple(values["predicted"]),
                "tuned": Metrics.from_dict(values["tuned"]),
                "untuned": Metrics.from_dict(values["untuned"]),
                "bins": tuple(Bin(**each) for each in values["bins"]),
                "worst": tuple(WrongAnswer(**each) for each in values["worst"]),
            }
        )


class Measurer:
    """Measures runs on the same rows, each once: what it found is kept in `folder`.

    Parameters
    ----------
    examples, labels
        [N] the rows, none of which any of the runs was trained on, and the labels that theirs are
        ids of. A run may have the same labels in another order.
    scoring
        Makes of a classifier a function from texts to `Scores`, under a description.
    loading
        What `load` is given beside the run's folder.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        labels: Sequence[str],
        folder: Path,
        scoring: Scoring,
        loading: Mapping[str, Any],
    ) -> None:
        self.examples = examples
        self.texts = [example.text for example in examples]
        self.gold = [example.label for example in examples]
        self.labels = tuple(labels)
        self.folder, self.scoring, self.loading = folder, scoring, loading
        self._untuned: dict[str, Metrics] = {}  # by base and task: seeds share it

    def measure(self, run: Path, what: str) -> Measured:
        """Measure the run in a folder, unless that was done already.

        `what` is the progress bar's description. Raises UserError where its adapter can't be used.
        """
        artifact = Artifact.read(run)
        kept = self.folder / f"{run.name}.json"
        key = self._key(artifact)
        if kept.exists() and (found := read_json(kept, "A measurement")).get("key") == key:
            measured = Measured.from_dict(found["measured"])
        else:
            measured = self._measure(artifact, what)
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(kept, {"key": key, "measured": measured.to_dict()})
        self._untuned[_question(artifact)] = measured.untuned
        return measured

    def _measure(self, artifact: Artifact, what: str) -> Measured:
        from sentilora.classifier import load

        classifier = load(artifact.path, **self.loading)
        started = time.perf_counter()
        scores = self._scores(classifier, what)
        seconds = time.perf_counter() - started
        count = artifact.metrics["parameters"]
        return Measured(
            base=artifact.base.name,
            predicted=tuple(scores.predicted.tolist()),
            tuned=score_metrics(scores, self.gold, self.labels),
            untuned=self._untuned.get(_question(artifact)) or self._of_base(classifier),
            parameters=count["total"],
            trained=count["trained"],
            train_seconds=artifact.metrics["seconds"],
            peak_bytes=artifact.metrics["peak_memory_bytes"],
            trained_on=artifact.metrics["environment"]["processor"],
            asked_on=processor(classifier.scorer.device.type),
            adapter_bytes=(artifact.path / WEIGHTS).stat().st_size,
            latency=self._latency(classifier),
            rows_per_second=len(self.texts) / seconds,
            bins=tuple(reliability(scores.probabilities, self.gold)),
            worst=tuple(self._worst(scores)),
        )

    def _worst(self, scores: Scores) -> list[WrongAnswer]:
        found = worst_errors(scores, self.examples, self.labels, SHOWN)
        # Fit to be kept: a text may hold what no file of UTF-8 does.
        return [replace(each, text=printable(each.text)) for each in found]

    def _of_base(self, classifier: Classifier) -> Metrics:
        with classifier.untuned() as base:
            scores = self._scores(base, "scoring, untuned")
        return score_metrics(scores, self.gold, self.labels)

    def _scores(self, classifier: Classifier, what: str) -> Scores:
        scores = self.scoring(classifier, what)(self.texts)
        return in_order(scores, classifier.task.labels, self.labels)

    def _latency(self, classifier: Classifier) -> float:
        seconds = []
        for text in self.texts[:ONE_BY_ONE]:
            started = time.perf_counter()
            classifier.predict_proba([text])
            seconds.append(time.perf_counter() - started)
        return median(seconds)

    def _key(self, artifact: Artifact) -> str:
        """What the measurement depends on: the adapter, the rows, where it is made, and what is
        measured."""
        made = hashlib.sha256(sha256(artifact.path / WEIGHTS).encode())
        names = [each.name for each in fields(Measured)]
        for part in (*self.texts, *self.gold, self.labels, sorted(self.loading.items()), names):
            made.update(repr(part).encode())
        return made.hexdigest()


def _question(artifact: Artifact) -> str:
    base = artifact.base
    return f"{base.fingerprint} {base.quantized} {artifact.task.to_dict()}"

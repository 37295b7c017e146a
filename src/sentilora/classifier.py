"""A tuned adapter on its base, ready to use: `load(folder)` gives a `Classifier`.

`loading` verifies that the adapter does what it did when it was saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentilora.abstention import Abstention
from sentilora.artifact import Artifact
from sentilora.bases import BaseIdentity, load_base
from sentilora.canary import check_canary
from sentilora.conformal import Conformal
from sentilora.correction import Correction
from sentilora.devices import resolve_device
from sentilora.encoding import EncodedPrompt
from sentilora.errors import UserError
from sentilora.loading import find_base, verified_scorer
from sentilora.merging import Merger
from sentilora.scoring import LabelScorer, Scores
from sentilora.task import Task
from sentilora.texts import checked_texts

Decisions = tuple[NDArray[np.intp], NDArray[np.float32]]


class Classifier:
    """Chooses labels for texts; called like a transformers text-classification pipeline.

    Attributes
    ----------
    task
        The frozen question.
    classes_
        [K] the labels, in the order of their ids and of `predict_proba`'s columns.
    base
        The identity of the base it runs on.
    """

    def __init__(
        self,
        scorer: LabelScorer,
        base: BaseIdentity,
        artifact: Artifact | None = None,
        correction: Correction | None = None,
        conformal: Conformal | None = None,
    ) -> None:
        """`correction` makes the reported probabilities of the model's own; `conformal` has the
        scores that label sets are made from."""
        self.scorer = scorer
        self.base = base
        self.artifact = artifact
        self.correction = correction or Correction()
        self.conformal = conformal
        self.task: Task = scorer.encoder.task
        self.classes_: NDArray[np.str_] = np.array(self.task.labels)

    def score(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Scores:
        """All there is to know of each text's labels: see `Scores`."""
        found = self.scorer.score(checked_texts(texts), progress)
        return replace(found, correction=self.correction)

    def predict(
        self,
        texts: Sequence[str],
        *,
        coverage: float | None = None,
        abstain_below: float | None = None,
    ) -> NDArray[Any]:
        """[N] the label chosen for each text: the likeliest, or with balanced training the one that
        would be if all labels were equally frequent.

        With `coverage` it is None where the label isn't alone in its set (see `predict_sets`), with
        `abstain_below` where its probability is less than that.

        Raises `UserError` for either outside (0, 1), and for a coverage without conformal scores.
        """
        if coverage is None and abstain_below is None:
            return self.classes_[self.decide(texts)[0]]
        labels, _ = self.abstention(coverage, abstain_below).decide(*self.decide(texts))
        return np.array(labels, dtype=object)

    def predict_sets(self, texts: Sequence[str], coverage: float = 0.9) -> list[list[str]]:
        """[N] for each text the labels that may be true: with the probability `coverage` its true
        one is among them, for texts like the validation rows; see `conformal`.

        Raises `UserError` for a coverage outside (0, 1), or without conformal scores.
        """
        _, sets = self.abstention(coverage).decide(*self.decide(texts))
        return sets or []

    def abstention(
        self, coverage: float | None = None, abstain_below: float | None = None
    ) -> Abstention:
        """The rule by which `predict` withholds labels."""
        return Abstention.create(self.task.labels, self.conformal, coverage, abstain_below)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N, K] each label's probability, given that it is one of the labels."""
        return self.decide(texts)[1]

    def decide(self, texts: Sequence[str]) -> Decisions:
        """[N] the chosen labels' indices, and [N, K] the probabilities."""
        return self.decide_prompts(self.scorer.encoder.encode(checked_texts(texts)))

    def decide_prompts(self, prompts: Sequence[EncodedPrompt]) -> Decisions:
        """As `decide`, for prompts that are encoded already."""
        found = self.scorer.probabilities(prompts)
        chosen = found.argmax(axis=1)
        return chosen, self.correction.apply(found)

    def __call__(
        self, texts: str | Sequence[str], **options: int | None
    ) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
        """`[{"label": ..., "score": ...}]`, shaped as the text-classification pipeline answers.

        Without options the chosen label of each text. With `top_k=N`, for each text a list of N
        labels (all, with None), the chosen one and then the likeliest; for one text, that list
        itself.
        """
        if unknown := options.keys() - {"top_k"}:
            raise TypeError(f"A classifier is called with top_k alone, not {min(unknown)}.")
        many = [texts] if isinstance(texts, str) else texts
        rows = [self._ranked(*row) for row in zip(*self.decide(many), strict=True)]
        if "top_k" not in options:
            return [row[0] for row in rows]
        best = [row[: options["top_k"]] for row in rows]
        return best[0] if isinstance(texts, str) else best

    def _ranked(self, chosen: int, probabilities: NDArray[np.float32]) -> list[dict[str, Any]]:
        order = sorted(range(len(probabilities)), key=lambda k: (k != chosen, -probabilities[k]))
        return [{"label": self.task.labels[k], "score": float(probabilities[k])} for k in order]

    @contextmanager
    def untuned(self) -> Iterator[Classifier]:
        """The same question to the base without its adapter, within a `with` block.

        Its probabilities are its own: they were not corrected for it.

        Raises `UserError` for a merged model, which has no untuned one in it any more.
        """
        if not hasattr(getattr(self.scorer, "model", None), "disable_adapter"):
            raise UserError(
                "A merged model can't be asked without its adapter. Load the adapter's own folder."
            )
        with self._merger.apart(), self.scorer.model.disable_adapter():
            yield Classifier(self.scorer, self.base, self.artifact)

    @cached_property
    def _merger(self) -> Merger:
        return Merger(self.scorer.model)

    def merge(self) -> None:
        """Put the adapter into the base's weights: scoring is a little faster, rounding differs.

        Raises UserError for a quantised base.
        """
        self._merger.merge()

    def unmerge(self) -> None:
        """The base's own weights again, bit for bit, and the adapter beside them."""
        self._merger.unmerge()

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Publish the adapter folder on the Hub; returns its address.

        Raises `UserError` where it was tuned on a base from this disk, which nobody else has.
        """
        from sentilora.publishing import push_to_hub

        if self.artifact is None:
            raise UserError("This classifier was not saved yet. Save it, load it, then push it.")
        return push_to_hub(self.artifact, repo_id, private=private, token=token)


def load(
    path: str | Path,
    *,
    device: str = "auto",
    dtype: str | None = None,
    quantize: str | None = None,
    model: str | None = None,
    merge: bool = False,
    trust_remote_code: bool = False,
) -> Classifier:
    """The classifier in an adapter folder, verified.

    Parameters
    ----------
    path
        The folder that `sentilora train` or `LabelTuner.save` wrote, or `sentilora merge` or
        `export`, which needs no base and knows no untuned one.
    device
        "auto", "cpu", "cuda" or "mps".
    dtype
        "float32", "bfloat16" or "float16"; chosen for the device by default.
    quantize
        "nf4", "int8" or "none": how the base's weights are held; by default as they were when the
        adapter was trained.
    model
        Where the base is, if it isn't where it was when the adapter was trained.
    merge
        Put the adapter into the base's weights, and verify the result once more.

    Raises
    ------
    UserError
        Where the folder is damaged, the base isn't there or is another one, or the adapter
        doesn't do what it did when it was saved.
    """
    from sentilora.export.forms import load_export
    from sentilora.export.merged import is_export

    if is_export(Path(path)):
        if merge or model is not None:
            raise UserError(
                f"{path} holds its base and adapter in one: there is nothing to merge, and no base "
                "to be named. Leave out --merge and --model."
            )
        return load_export(
            Path(path),
            device=device,
            dtype=dtype,
            quantize=quantize,
            trust_remote_code=trust_remote_code,
        )
    artifact = Artifact.read(Path(path))
    loaded = load_base(
        find_base(artifact, model),
        device=resolve_device(device),
        dtype=dtype,
        quantize=artifact.base.quantized if quantize is None else quantize,
        trust_remote_code=trust_remote_code,
    )
    scorer = verified_scorer(artifact, loaded)
    classifier = Classifier(
        scorer, loaded.identity, artifact, artifact.correction, artifact.conformal
    )
    if merge:
        classifier.merge()
        now = artifact.canary.again(scorer, loaded.identity.dtype)
        check_canary(artifact.canary, now, f"The adapter in {artifact.path}, merged into its base,")
    return classifier

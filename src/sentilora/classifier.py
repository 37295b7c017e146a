"""A tuned adapter on its base, ready to use: `load(folder)` gives a `Classifier`.

Loading verifies that the adapter does what it did when it was saved: every key matched, B not
zero, the same base and tokenizer, and the canary reproduced, nearer to the tuned than to the
untuned scores. An adapter that would silently do nothing is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from peft import PeftModel
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict

from sentilora.adapters import attach
from sentilora.artifact import Artifact, Canary, check_not_zero, read_weights
from sentilora.bases import Base, BaseIdentity, LoadedBase, load_base, resolve
from sentilora.devices import resolve_device
from sentilora.encoding import PromptEncoder, tokenizer_fingerprint
from sentilora.errors import UserError
from sentilora.scoring import LabelScorer, Scores
from sentilora.task import Task

# How far the canary's log-probabilities may be from those at save time, by the coarser of the two
# dtypes.
CANARY_TOLERANCE = {"float32": 1e-3, "float16": 0.1, "bfloat16": 0.1}


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
        self, scorer: LabelScorer, base: BaseIdentity, artifact: Artifact | None = None
    ) -> None:
        self.scorer = scorer
        self.base = base
        self.artifact = artifact
        self.task: Task = scorer.encoder.task
        self.classes_: NDArray[np.str_] = np.array(self.task.labels)

    def score(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Scores:
        """All there is to know of each text's labels: see `Scores`."""
        return self.scorer.score(list(texts), progress)

    def predict(self, texts: Sequence[str]) -> NDArray[np.str_]:
        """[N] the likeliest label of each text."""
        return self.classes_[self.score(texts).predicted]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N, K] each label's probability, given that it is one of the labels."""
        return self.score(texts).probabilities

    @overload
    def __call__(self, texts: str, top_k: int | None = 1) -> list[dict[str, Any]]: ...
    @overload
    def __call__(self, texts: Sequence[str], top_k: int | None = 1) -> list[Any]: ...
    def __call__(self, texts: str | Sequence[str], top_k: int | None = 1) -> list[Any]:
        """`[{"label": ..., "score": ...}]`, as the text-classification pipeline answers.

        For one text: its `top_k` likeliest labels (all, with None), best first. For several: with
        `top_k=1` one such dict a text, otherwise a list of dicts a text.
        """
        many = [texts] if isinstance(texts, str) else list(texts)
        answers = [self._ranked(row)[:top_k] for row in self.predict_proba(many)]
        if isinstance(texts, str):
            return answers[0]
        return [answer[0] for answer in answers] if top_k == 1 else answers

    def _ranked(self, probabilities: NDArray[np.float32]) -> list[dict[str, Any]]:
        order = np.argsort(-probabilities, kind="stable")
        return [{"label": self.task.labels[k], "score": float(probabilities[k])} for k in order]

    @contextmanager
    def untuned(self) -> Iterator[Classifier]:
        """The same question to the base without its adapter, within a `with` block."""
        with self.scorer.model.disable_adapter():
            yield self

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
    model: str | None = None,
    trust_remote_code: bool = False,
) -> Classifier:
    """The classifier in an adapter folder, verified.

    Parameters
    ----------
    path
        The folder that `sentilora train` or `LabelTuner.save` wrote.
    device
        "auto", "cpu", "cuda" or "mps".
    dtype
        "float32", "bfloat16" or "float16"; chosen for the device by default.
    model
        Where the base is, if it isn't where it was when the adapter was trained.

    Raises
    ------
    UserError
        Where the folder is damaged, the base isn't there or is another one, or the adapter
        doesn't do what it did when it was saved.
    """
    artifact = Artifact.read(Path(path))
    loaded = load_base(
        _find_base(artifact, model),
        device=resolve_device(device),
        dtype=dtype,
        trust_remote_code=trust_remote_code,
    )
    _check_same_base(artifact, loaded)
    encoder = PromptEncoder(artifact.task, loaded.tokenizer)
    tuned = attach(loaded.model, artifact.adapter)
    _fill(tuned, artifact)
    tuned.eval().requires_grad_(False)
    scorer = LabelScorer(tuned, encoder)
    _check_canary(artifact, Canary.sing(scorer, loaded.identity.dtype))
    return Classifier(scorer, loaded.identity, artifact)


def _find_base(artifact: Artifact, model: str | None) -> Base:
    """The base that `model` names, or else the one that the adapter was trained on."""
    base = artifact.base
    if model is not None:
        return resolve(model)
    if base.origin == "hub":
        return resolve(base.name, base.revision)
    try:
        return resolve(base.name)
    except UserError as error:
        raise UserError(
            f"{error} {artifact.path} was trained on it; if it has moved, name its place with "
            "--model."
        ) from error


def _check_same_base(artifact: Artifact, loaded: LoadedBase) -> None:
    if loaded.identity.fingerprint != artifact.base.fingerprint:
        raise UserError(
            f"{artifact.path} was trained on another base: the weights of {loaded.identity.name} "
            f"are not those of {artifact.base.name} (fingerprint "
            f"{artifact.base.fingerprint[:12]}). Name the right one with --model."
        )
    if tokenizer_fingerprint(loaded.tokenizer) != artifact.tokenizer_fingerprint:
        raise UserError(
            f"The tokenizer of {loaded.identity.name} is not the one that {artifact.path} was "
            "trained with: texts would be read differently. Restore the base's own tokenizer."
        )


def _fill(tuned: PeftModel, artifact: Artifact) -> None:
    """Put the saved tensors into the adapter, refusing a missing, extra or misshapen one."""
    weights = read_weights(artifact.path)
    expected = get_peft_model_state_dict(tuned, save_embedding_layers=False)
    missing, extra = expected.keys() - weights.keys(), weights.keys() - expected.keys()
    if missing or extra:
        what = f"lacks {min(missing)}" if missing else f"has {min(extra)}, which doesn't belong"
        raise UserError(
            f"The adapter in {artifact.path} doesn't fit its base: it {what} "
            f"({len(missing)} missing, {len(extra)} extra). Train it again on this base."
        )
    if wrong := [name for name in sorted(weights) if weights[name].shape != expected[name].shape]:
        raise UserError(
            f"The adapter in {artifact.path} doesn't fit its base: {wrong[0]} has the shape "
            f"{tuple(weights[wrong[0]].shape)}, not {tuple(expected[wrong[0]].shape)}."
        )
    check_not_zero(weights)
    set_peft_model_state_dict(tuned, weights)


def _check_canary(artifact: Artifact, now: Canary) -> None:
    then = artifact.canary
    tolerance = max(CANARY_TOLERANCE.get(name, 0.1) for name in (then.dtype, now.dtype))
    tuned = np.array(now.tuned)
    gap = float(np.abs(tuned - np.array(then.tuned)).max())
    from_untuned = float(np.abs(tuned - np.array(then.untuned)).max())
    if gap <= tolerance and gap < from_untuned:
        return
    raise UserError(
        f"The adapter in {artifact.path} doesn't do what it did when it was saved: its label "
        f"log-probabilities are off by {gap:.2g} (at most {tolerance:g} is rounding"
        f"{'; they are those of the untuned base' if gap >= from_untuned else ''}). The base, the "
        "adapter or a library has changed; try --dtype "
        f"{then.dtype}, the versions it was trained with, or train again."
    )

"""Several adapters on one base made into one, by weights.

"linear" is the weighted sum of their updates, exactly: their A and B are put side by side, so the
ranks add up. TIES (Yadav et al. 2023) and DARE (Yu et al. 2024) thin the adapters out before they
are added, so that they contradict one another less; PEFT does that to A and B apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from peft.utils import set_peft_model_state_dict

from sentilora.adapters import lora_config
from sentilora.artifact import Artifact, read_weights
from sentilora.classifier import Classifier
from sentilora.correction import Correction
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.scoring import LabelScorer

Method = Literal["linear", "ties", "dare_linear", "dare_ties"]
_OWN = "default"  # PEFT's name of a model's only adapter
# What of a task, the length aside, makes a prompt; a chat template is in the first two.
_ASKED = {
    "template": "the prompt",
    "label_prefix": "labels that begin with",
    "long_texts": "long texts cut to their",
}


def combine(
    classifier: Classifier,
    others: Sequence[Path],
    weights: Sequence[float],
    method: str = "linear",
    density: float = 0.5,
    seed: int = 0,
) -> Classifier:
    """The classifier with its adapter and those of `others` in one; it is changed in place.

    Its temperature and label sets were fitted to its own adapter alone, so the sum has none. It
    reads texts as far as the adapter that was given the fewest tokens.

    Parameters
    ----------
    others
        Folders of adapters on the same base, for the same task.
    weights
        Of the classifier's own adapter, and of each other one.
    method, density, seed
        How they are combined; with any but "linear" the share of an adapter's weights that is
        kept, and what DARE draws it with.

    Raises
    ------
    UserError
        Where they don't fit together.
    """
    artifact = classifier.artifact
    assert artifact is not None
    check_method(method, density)
    model: Any = classifier.scorer.model
    names = [_OWN, *(f"other_{number}" for number in range(len(others)))]
    read = [Artifact.read(path) for path in others]
    for name, other in zip(names[1:], read, strict=True):
        check_same(artifact, other)
        model.add_adapter(name, lora_config(model.get_base_model(), other.adapter))
        set_peft_model_state_dict(model, read_weights(other.path), adapter_name=name)
    # PEFT makes the sum's settings of the first one's, and means its scaling to be 1: the updates'
    # own scalings are in its matrices. rsLoRA's would be the root of its rank.
    model.peft_config[_OWN].use_rslora = False
    tuner = model.base_model
    kind = "cat" if method == "linear" else method
    thinning = {} if method == "linear" else {"density": density}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            tuner.add_weighted_adapter(names, list(weights), "sum", kind, **thinning)
    except ValueError as error:
        raise UserError(f"These adapters can't be combined by {method}: {error}.") from error
    model.set_adapter("sum")
    for name in names:
        model.delete_adapter(name)
    # Under its usual name, by which the fast paths know it.
    tuner.add_weighted_adapter(["sum"], [1.0], _OWN, "cat")
    model.set_adapter(_OWN)
    model.delete_adapter("sum")
    model.eval().requires_grad_(False)
    shortest = min(each.task.max_length for each in (artifact, *read))
    task = replace(classifier.task, max_length=shortest)
    scorer = LabelScorer(model, PromptEncoder(task, classifier.scorer.encoder.tokenizer))
    return Classifier(scorer, classifier.base, correction=_shared_correction([artifact, *read]))


def parse_weights(given: str | None, adapters: int) -> list[float]:
    """`0.5,0.5` as numbers, one for each adapter; None gives each the same share.

    Raises UserError where it is no list of so many numbers.
    """
    if given is None:
        return [1 / adapters] * adapters
    try:
        found = [float(each) for each in given.split(",")]
    except ValueError:
        found = []
    if len(found) != adapters or not all(map(math.isfinite, found)):
        raise UserError(
            f"--weights {given} must be {adapters} numbers with commas between, one for the run "
            "and one for each other adapter, as in 0.5,0.5."
        )
    return found


def check_method(method: str, density: float) -> None:
    """Raise UserError for a way of combining that isn't known, or a share that can't be."""
    if method not in get_args(Method):
        raise UserError(f"There is no method {method!r}; choose {', '.join(get_args(Method))}.")
    if not 0 < density <= 1:
        raise UserError(f"A density of {density} can't be; it must be above 0 and at most 1.")


def _shared_correction(artifacts: Sequence[Artifact]) -> Correction:
    """Back to the training rows' label shares, where training balanced them all alike."""
    shares = {each.correction.label_shares for each in artifacts}
    return Correction(label_shares=shares.pop() if len(shares) == 1 else None)


def check_same(artifact: Artifact, other: Artifact) -> None:
    """Raise UserError where two adapters are not for the same question on the same base."""
    if other.base.fingerprint != artifact.base.fingerprint:
        raise UserError(
            f"{other.path} was trained on another base than {artifact.path}: {other.base.name}, "
            f"not {artifact.base.name}. Adapters can be combined on one base alone."
        )
    if other.task.labels != artifact.task.labels:
        raise UserError(
            f"{other.path} chooses among other labels than {artifact.path}: "
            f"{', '.join(other.task.labels)}. Adapters for the same labels can be combined."
        )
    for name, what in _ASKED.items():
        one, two = getattr(artifact.task, name), getattr(other.task, name)
        if one != two:
            raise UserError(
                f"{other.path} was trained with {what} {two!r}, not {one!r} as {artifact.path}: "
                "the sum would be asked what one of them was never asked. Train them alike to "
                "combine them."
            )
    if other.adapter.dora or artifact.adapter.dora:
        raise UserError(
            "DoRA's magnitudes can't be added up. Merge such a run alone, or train without --dora."
        )

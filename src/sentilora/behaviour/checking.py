"""Asking a classifier about a suite's texts, and judging its answers case by case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sentilora.behaviour.cases import INVARIANCE, KINDS, MINIMUM, RISE, Case
from sentilora.behaviour.result import Behaviour, Group, Outcome
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.scoring import Scores


def check(
    cases: Sequence[Case],
    labels: Sequence[str],
    score: Callable[[Sequence[str]], Scores],
    shortened: int = 0,
) -> Behaviour:
    """What a classifier makes of the cases that its labels allow.

    `score` gives its `Scores` of texts, their columns in the order of `labels`; each text is asked
    once.

    Raises UserError where the labels allow none of the cases.
    """
    allowed, lacking = applicable(cases, labels)
    texts = texts_of(allowed)
    scores = score(texts)
    place = {text: row for row, text in enumerate(texts)}
    chosen, probabilities = scores.predicted, scores.probabilities.astype(np.float64)
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for case in allowed:
        rows = [place[text] for text in case.texts]
        outcome = judge(case, labels, chosen[rows], probabilities[rows])
        groups.setdefault((case.capability, case.kind), []).append(outcome)
    return Behaviour(tuple(labels), _in_order(groups), lacking, shortened)


def applicable(cases: Sequence[Case], labels: Sequence[str]) -> tuple[list[Case], dict[str, int]]:
    """The cases whose label the task has, in its own spelling; and how often which label lacks.

    Case is ignored where that leaves no doubt. Cases without a label always apply.

    Raises UserError where none is left.
    """
    allowed = []
    lacking: Counter[str] = Counter()
    for case in cases:
        known = case.label if case.label is None else _known(case.label, labels)
        if case.label is not None and known is None:
            lacking[case.label] += 1
        else:
            allowed.append(replace(case, label=known))
    if not allowed:
        raise UserError(
            f"None of the cases can be judged: they expect {', '.join(lacking)}, and the model's "
            f"labels are {', '.join(labels)}. Give cases with its labels with --suite."
        )
    return allowed, dict(lacking)


def texts_of(cases: Sequence[Case]) -> list[str]:
    """All texts of the cases, each once."""
    return list(dict.fromkeys(text for case in cases for text in case.texts))


def judge(
    case: Case,
    labels: Sequence[str],
    chosen: npt.NDArray[np.intp],
    probabilities: npt.NDArray[np.float64],
) -> Outcome:
    """The outcome of a case, by its texts' chosen labels [1 + M] and probabilities [1 + M, K]."""
    watched = int(chosen[0]) if case.label is None else labels.index(case.label)
    followed = probabilities[:, watched]  # [1 + M]
    moves = followed[1:] - followed[0]
    worst = 0
    if case.kind == MINIMUM:
        failed = bool(chosen[0] != watched)
    elif case.kind == INVARIANCE:
        other = chosen[1:] != watched
        failed = bool(other.any())
        # A label that changed is worse than any move that leaves it.
        worst = 1 + int((np.abs(moves) + other).argmax())
    else:
        least = case.tolerance if case.must == RISE else -case.tolerance
        failed = bool((moves <= least if case.must == RISE else moves < least).any())
        worst = 1 + int(moves.argmin())
    return Outcome(
        case=case,
        failed=failed,
        watched=labels[watched],
        chosen=tuple(labels[k] for k in chosen),
        probabilities=tuple(followed.tolist()),
        worst=worst,
    )


def _known(label: str, labels: Sequence[str]) -> str | None:
    if label in labels:
        return label
    alike = [each for each in labels if each.casefold() == label.casefold()]
    return alike[0] if len(alike) == 1 else None


def _in_order(groups: dict[tuple[str, str], list[Outcome]]) -> tuple[Group, ...]:
    """By capability as they come, and in it by kind."""
    capabilities = dict.fromkeys(capability for capability, _ in groups)
    return tuple(
        Group(capability, kind, tuple(groups[capability, kind]))
        for capability in capabilities
        for kind in KINDS
        if (capability, kind) in groups
    )

"""The canary: fixed texts with their label log-probabilities at save time, tuned and untuned.

An adapter is scored on them again when it is loaded. That finds what no hash can: a library that
runs the base otherwise than it did, and an adapter that has silently no effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sentilora.bases.quantization import kind_of
from sentilora.devices import processor
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.scoring import LabelScorer

# The texts are ours: no user's text leaves the data it came from.
CANARY_TEXTS = (
    "A warm, funny and beautifully acted story that I would gladly see again.",
    "Two hours of my life that nobody is going to give back.",
    "not bad",
    "The order arrived on Tuesday; the invoice was in the box.",
    "It promises a lot, looks splendid, and has nothing whatsoever to say.",
    "Profits doubled, and the shares fell all the same.",
)

# How far log-probabilities may be from those at save time, by the coarser of the two dtypes.
# Exports of few bits are held against their own figures: only the kernels' rounding may differ.
TOLERANCE = {"float32": 1e-3, "float16": 0.1, "bfloat16": 0.1, "int8": 0.2, "int4": 0.2}

# Between a base in few bits and the same one in more, or rounded from another dtype or by another
# processor; and the share of the adapter's own effect that may be rounding, too. SmolLM2, tuned in
# nf4, is 1.2 off in bf16 where the adapter changes 5.8; larger bases are less sensitive.
QUANTISED_TOLERANCE = 0.5
QUANTISED_SHARE = 0.4

# Two 16-bit roundings, or one against fp32, differ by more the more the adapter does: SmolLM2,
# tuned in bf16, is 0.09 off in fp32 where the adapter changes 7.7. So with another dtype
# or processor this share of the adapter's own effect is rounding, too.
EFFECT_SHARE = 0.05

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Canary:
    """Label log-probabilities of N texts for K labels, and what they're made with: the dtype, the
    processor, and how the base was quantised, if it was.

    Raises ValueError where there are no figures, or they aren't [N, K] on both sides.
    """

    texts: tuple[str, ...]
    tuned: Rows
    untuned: Rows
    dtype: str
    processor: str
    quantized: str | None = None  # which earlier versions didn't write

    def __post_init__(self) -> None:
        tuned, untuned = np.array(self.tuned), np.array(self.untuned)
        if tuned.ndim != 2 or not tuned.size or tuned.shape != untuned.shape:
            raise ValueError("the canary has no figures, or not as many tuned as untuned ones")
        if len(tuned) != len(self.texts):
            raise ValueError("the canary has not one row of figures for each text")
        if self.dtype not in TOLERANCE:
            raise ValueError(f"the canary's dtype is {self.dtype!r}")

    @classmethod
    def sing(cls, scorer: LabelScorer, dtype: str) -> Canary:
        """Score the canary's texts with and without the adapter of the scorer's model."""
        tuned = scorer.score(CANARY_TEXTS).log_probs
        with scorer.model.disable_adapter():
            untuned = scorer.score(CANARY_TEXTS).log_probs
        on = processor(scorer.device.type)
        held = kind_of(scorer.model)
        return cls(CANARY_TEXTS, _rows(tuned.tolist()), _rows(untuned.tolist()), dtype, on, held)

    def again(self, scorer: LabelScorer, dtype: str) -> Canary:
        """This canary with its tuned side scored anew."""
        tuned = scorer.score(self.texts).log_probs
        on = processor(scorer.device.type)
        held = kind_of(scorer.model)
        rows = _rows(tuned.tolist())
        return replace(self, tuned=rows, dtype=dtype, processor=on, quantized=held)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Canary:
        return cls(
            tuple(values["texts"]),
            _rows(values["tuned"]),
            _rows(values["untuned"]),
            str(values["dtype"]),
            str(values["processor"]),
            values.get("quantized"),
        )

    def check_changes_something(self) -> None:
        """Raise `UserError` where the adapter's effect is too small to be seen in any figure."""
        if self.tuned == self.untuned:
            raise UserError(
                f"The adapter changes nothing that {self.dtype} can show: with and without it the "
                "label log-probabilities are the same. Train it longer, or with a higher "
                "--learning-rate."
            )


def check_canary(then: Canary, now: Canary, name: str, remedy: str | None = None) -> None:
    """Raise `UserError` unless `now` is what was scored `then`, and not what the base scored.

    `name` is what the adapter is called in the message, and `remedy` its last sentence.
    """
    tolerance = _tolerance(then, now)
    from_tuned, from_untuned = _gap(now.tuned, then.tuned), _gap(now.tuned, then.untuned)
    if from_tuned <= tolerance and from_tuned < from_untuned:
        return
    raise UserError(
        f"{name} doesn't do what it did when it was saved: its label log-probabilities are off by "
        f"{from_tuned:.2g} (up to {tolerance:.2g} is rounding), and {from_untuned:.2g} from those "
        "of the base without it. "
        + (
            remedy
            or "The base, the adapter or a library has changed; try --dtype "
            f"{then.dtype}, the versions it was trained with, or train again."
        )
    )


def _tolerance(then: Canary, now: Canary) -> float:
    tolerance = max(TOLERANCE[then.dtype], TOLERANCE[now.dtype])
    effect = _gap(then.tuned, then.untuned)
    if _made_with(then) == _made_with(now):
        return tolerance
    if then.quantized or now.quantized:
        return max(QUANTISED_TOLERANCE, QUANTISED_SHARE * effect)
    if tolerance == TOLERANCE["float32"]:
        return tolerance
    return max(tolerance, EFFECT_SHARE * effect)


def _made_with(canary: Canary) -> tuple[str, str, str | None]:
    return canary.dtype, canary.processor, canary.quantized


def _gap(first: Rows, second: Rows) -> float:
    """The largest difference; infinite where there is nothing to compare."""
    one, other = np.array(first), np.array(second)
    if one.shape != other.shape:
        return float("inf")
    difference: NDArray[np.float64] = np.abs(one - other)
    return float(difference.max())


def _rows(values: Sequence[Sequence[float]]) -> Rows:
    return tuple(tuple(float(value) for value in row) for row in values)

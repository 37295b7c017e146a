"""How a tuned model's probabilities are brought to mean what they say.

Two things make them say too much. Training sharpens them beyond what rows that weren't trained on
bear out: a *temperature*, fitted on such rows, undoes that (Guo et al. 2017). And a model trained
with balanced weights answers for labels that are all equally frequent: Bayes' rule brings it back
to the training rows' own shares (Saerens, Latinne and Decaestecker 2002). The label that is chosen
stays the one that the model itself finds likeliest, which is what balanced weights are for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentilora.errors import UserError

_LEAST = 1e-12  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class Correction:
    """From a model's label probabilities to those that are reported.

    temperature
        What log-probabilities are divided by; above 1 they get less sure.
    label_shares
        [K] the labels' shares of the training rows, where training balanced them; else None.

    Raises UserError for a temperature that is no number above 0.
    """

    temperature: float = 1.0
    label_shares: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"A temperature of {self.temperature} can't be; it must be above 0.")

    def apply(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """[N, K] the corrected probabilities."""
        if self == Correction():
            return probabilities
        return corrected(probabilities, self.temperature, self.label_shares).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Correction:
        shares = values["label_shares"]
        return cls(values["temperature"], shares and tuple(shares))


def corrected(
    probabilities: npt.ArrayLike, temperature: float, shares: Sequence[float] | None = None
) -> npt.NDArray[np.float64]:
    """[N, K] the softmax of log-probabilities over `temperature`, then among labels of `shares`."""
    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _LEAST)) / temperature
    return softmax(logs if shares is None else logs + np.log(np.maximum(shares, _LEAST)))


def softmax(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """[N, K] each row's softmax: scipy's, which a device with an exported model needn't have."""
    given = np.asarray(values, dtype=np.float64)
    powers = np.exp(given - given.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def label_shares(gold: Sequence[int], labels: int) -> tuple[float, ...]:
    """[K] each label's share of the rows `gold` [N]."""
    counts = np.bincount(np.asarray(gold), minlength=labels)
    return tuple((counts / counts.sum()).tolist())

"""From a model trained as if all labels were equally frequent to the data's own frequencies.

Balanced weights make a model answer for labels that are all alike in number: rare ones are found
more often, which macro-F1 rewards, and their probabilities are too high. The label that it chooses
is kept; its probabilities are brought back by Bayes' rule (Saerens, Latinne and Decaestecker 2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def label_shares(gold: Sequence[int], labels: int) -> tuple[float, ...]:
    """[K] each label's share of the rows `gold` [N]."""
    counts = np.bincount(np.asarray(gold), minlength=labels)
    return tuple((counts / counts.sum()).tolist())


def at_shares(probabilities: NDArray[np.float32], shares: Sequence[float]) -> NDArray[np.float32]:
    """[N, K] probabilities among labels of these shares, from those among labels all alike."""
    weighed = probabilities * np.asarray(shares, dtype=np.float32)
    return weighed / weighed.sum(axis=1, keepdims=True)

"""Confident learning: which rows' labels a model's held-out probabilities speak against.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (2021).
Written anew here: the authors' library, cleanlab, is under the AGPL, which this package's users
would inherit, and the rule is short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# A label whose rows all have the same probability must still reach its own mean.
ROUNDING = 1e-6

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Confident:
    """What the rule finds in N rows of K labels.

    thresholds
        [K] how sure the model is of a label, on average, where it is given.
    counted_as
        [N] the label that a row is counted to be of; -1 for one that reaches no threshold.
    joint
        [K, K] rows by their given label and the one that they are counted to be of.
    given
        [K] how many rows are given each label.
    """

    thresholds: Floats
    counted_as: Integers
    joint: Integers
    given: Floats

    @property
    def calibrated(self) -> Floats:
        """[K, K] the joint, each row of it scaled to all the rows that are given this label.

        The paper's equation 3, in rows rather than shares.
        """
        return self.joint * (self.given / self.joint.sum(axis=1))[:, None]


def confident_joint(probabilities: npt.ArrayLike, gold: npt.ArrayLike) -> Confident:
    """The paper's equations 1 and 2.

    Parameters
    ----------
    probabilities
        [N, K] each row's, by a model that wasn't trained on it.
    gold
        [N] the given labels' ids; each of the K labels is given at least once.
    """
    found, given = np.asarray(probabilities, np.float64), np.asarray(gold, np.int64)
    labels = found.shape[1]
    thresholds = np.array([found[given == label, label].mean() for label in range(labels)])
    above = np.where(found >= thresholds - ROUNDING, found, -1.0)
    counted_as = np.where(above.max(axis=1) < 0, -1, above.argmax(axis=1))
    joint = np.zeros((labels, labels), np.int64)
    counted = counted_as >= 0
    np.add.at(joint, (given[counted], counted_as[counted]), 1)
    counts = np.bincount(given, minlength=labels).astype(np.float64)
    return Confident(thresholds, counted_as, joint, counts)


def normalised_margins(probabilities: npt.ArrayLike, gold: npt.ArrayLike) -> Floats:
    """[N] the given label's probability less the largest of the others: -1 is most suspicious."""
    found, given = np.asarray(probabilities, np.float64), np.asarray(gold, np.int64)
    rows = np.arange(len(given))
    others = found.copy()
    others[rows, given] = -np.inf
    return found[rows, given] - others.max(axis=1)


def likely_errors(confident: Confident, margins: Floats, gold: npt.ArrayLike) -> Integers:
    """The rows off the joint's diagonal, the most suspicious first; of equals the earlier."""
    given = np.asarray(gold, np.int64)
    off = (confident.counted_as >= 0) & (confident.counted_as != given)
    rows = np.flatnonzero(off)
    return rows[np.argsort(margins[rows], kind="stable")]

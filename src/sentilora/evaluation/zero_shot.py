"""Two ways to ask the untuned base more fairly, without a labelled row.

A base prefers some labels whatever it reads: the likelier words, those that stand last in the
instruction. Both ways divide by what it says where there is nothing to read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

Floats = npt.NDArray[np.floating[Any]]

WITHOUT_TEXT = ""
CONTENT_FREE = ("N/A", "[MASK]", WITHOUT_TEXT)  # those of Zhao et al.


def contextual_calibration(probabilities: Floats, content_free: Floats) -> npt.NDArray[np.float64]:
    """Contextual calibration (Zhao et al. 2021, "Calibrate Before Use"): q = p / p_cf, normalised.

    The chosen label is that of the paper's softmax(W p) with W = diag(p_cf)^-1.

    Parameters
    ----------
    probabilities
        [N, K] of the labels, rows summing to 1.
    content_free
        [C, K] those of the texts in `CONTENT_FREE`; p_cf is their mean.
    """
    weighed = np.asarray(probabilities, dtype=np.float64) / content_free.mean(axis=0)
    return weighed / weighed.sum(axis=1, keepdims=True)


def domain_conditional_pmi(log_probs: Floats, without_text: Floats) -> npt.NDArray[np.float64]:
    """PMI_DC (Holtzman et al. 2021, "Surface Form Competition"): what the text adds to a label,
    log p(label | prompt with the text) - log p(label | prompt without it), as probabilities.

    The label of the highest PMI is chosen, and the softmax over the labels stands for their
    probabilities; the paper has none.

    Parameters
    ----------
    log_probs
        [N, K] log p(label | prompt) over the vocabulary.
    without_text
        [K] the same for the prompt whose text is `WITHOUT_TEXT`: the domain's premise, which holds
        the instruction and the labels' names here.
    """
    return softmax(np.asarray(log_probs, dtype=np.float64) - without_text, axis=1)

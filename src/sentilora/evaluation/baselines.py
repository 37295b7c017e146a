"""What a tuned model has to beat: the majority class, and TF-IDF + logistic regression.

Both learn from the rows that the model was tuned on and return class ids, so the same code that
measures the model measures them. The linear model is made as strong as it gets without effort (word
pairs, sublinear counts, its one setting chosen on the validation rows): a comparison with a weak
baseline says nothing. Both are deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    from sentilora.data.dataset import Example

Predictions = npt.NDArray[np.int64]  # [N] class ids

# Inverse regularisation strengths tried on the validation rows; the default serves without any.
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
DEFAULT_STRENGTH = 10.0

# Words of any length, and runs of what is neither word nor space ("!!", ":-(", an emoji), which
# carry sentiment. scikit-learn's own pattern drops them, scores up to 4 points lower on the
# validation rows of review and forum data, and leaves texts such as "👍" without any feature.
TOKEN = r"\w+|[^\w\s]+"


def majority_class(train: Sequence[Example], texts: Sequence[str]) -> Predictions:
    """The most frequent label of the training rows for each text; of equals, the first label."""
    winner = np.bincount([example.label for example in train]).argmax()
    return np.full(len(texts), winner, dtype=np.int64)


def tfidf_logistic_regression(
    train: Sequence[Example], validation: Sequence[Example], texts: Sequence[str]
) -> Predictions:
    """TF-IDF of single words and pairs into a logistic regression, fitted on `train`.

    The regularisation strength is the one with the best macro-F1 on `validation`, the stronger
    regularisation on a tie; without validation rows it is `DEFAULT_STRENGTH`. `train` must hold
    rows of two labels or more.
    """
    from sklearn.metrics import f1_score

    vectorizer = _vectorizer()
    features = vectorizer.fit_transform([example.text for example in train])
    targets = [example.label for example in train]
    if not validation:
        return _fit(features, targets, DEFAULT_STRENGTH).predict(vectorizer.transform(texts))
    held_out = vectorizer.transform([example.text for example in validation])
    expected = [example.label for example in validation]
    models = [_fit(features, targets, strength) for strength in STRENGTHS]
    macro_f1 = [
        f1_score(expected, model.predict(held_out), average="macro", zero_division=0)
        for model in models
    ]
    best = models[int(np.argmax(macro_f1))]  # the first of equals, so the most regularised
    return best.predict(vectorizer.transform(texts))


def tfidf_probabilities(train: Sequence[Example], texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """[N, K] the same model's probabilities, of the labels in `train` in the order of their ids."""
    vectorizer = _vectorizer()
    features = vectorizer.fit_transform([example.text for example in train])
    model = _fit(features, [example.label for example in train], DEFAULT_STRENGTH)
    return model.predict_proba(vectorizer.transform(texts))


def _vectorizer() -> TfidfVectorizer:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        lowercase=True, ngram_range=(1, 2), sublinear_tf=True, token_pattern=TOKEN
    )


def _fit(features: Any, targets: Sequence[int], strength: float) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # BLAS threads have nothing to gain on sparse rows, and spinning make it five times slower.
    with threadpool_limits(1, user_api="blas"):
        return LogisticRegression(C=strength, max_iter=1000).fit(features, targets)

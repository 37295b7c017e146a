"""The majority class, and logistic regressions on TF-IDF and on sentence embeddings.

The regularisation is chosen on the validation rows where there are some, and otherwise by
cross-validation within the training rows.
"""

from __future__ import annotations

import pickle
import time
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sentilora.evaluation.baselines import STRENGTHS, TOKEN
from study.methods import Answer, Job
from study.methods.minilm import embed

WEAKER = (0.01, 0.03, 0.1)  # embeddings may want more regularisation than TF-IDF does


def majority(job: Job) -> Answer:
    """Each label's share of the training rows, for every text."""
    counts = np.bincount(job.train.gold, minlength=len(job.data.labels))
    return Answer(np.tile(counts / counts.sum(), (len(job.texts), 1)), 0.0, 0)


def tfidf(job: Job) -> Answer:
    """TF-IDF of words and pairs, as the product's own baseline has it."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=TOKEN)
    return _regressed(job, vectorizer, STRENGTHS)


def embeddings(job: Job) -> Answer:
    """all-MiniLM-L6-v2, frozen."""
    return _regressed(job, FunctionTransformer(embed), WEAKER + STRENGTHS)


def _regressed(job: Job, features: Any, strengths: tuple[float, ...]) -> Answer:
    started = time.monotonic()
    inputs = features.fit_transform(job.train.texts)
    held = None if job.validation is None else features.transform(job.validation.texts)
    scores = [_quality(job, inputs, held, strength) for strength in strengths]
    best = _regression(strengths[int(np.argmax(scores))])
    model: Pipeline = make_pipeline(features, best.fit(inputs, job.train.gold))
    seconds = time.monotonic() - started
    saved = len(pickle.dumps(model))
    probabilities = best.predict_proba(features.transform(job.texts))
    return Answer(_all_labels(probabilities, best.classes_, job), seconds, saved)


def _quality(job: Job, inputs: Any, held: Any, strength: float) -> float:
    if job.validation is not None:
        fitted = _regression(strength).fit(inputs, job.train.gold)
        return fitted.score(held, job.validation.gold)
    folds = min(5, *(count for count in np.bincount(job.train.gold) if count))
    if folds < 2:
        return 0.0
    splits = StratifiedKFold(folds, shuffle=True, random_state=job.seed)
    return cross_val_score(_regression(strength), inputs, job.train.gold, cv=splits).mean()


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=2000)


def _all_labels(probabilities: Any, classes: Any, job: Job) -> Any:
    """A column for each label, also one that no training row had."""
    full = np.zeros((len(job.texts), len(job.data.labels)))
    full[:, classes] = probabilities
    return full

"""Judging an audit's rows by TF-IDF and logistic regression: in seconds, and less sharp."""

from __future__ import annotations

from sentilora.audit.held_out import Integers, Probabilities, held_out
from sentilora.data import DataSet
from sentilora.evaluation.baselines import tfidf_probabilities


class Linear:
    """The baseline that stands beside every tuned model, fitted for each fold."""

    name = "TF-IDF + logistic regression"

    def probabilities(self, dataset: DataSet, fold_of: Integers) -> Probabilities:
        """[N, K] each row's by a model that was fitted without its fold."""
        return held_out(dataset.all_rows(), fold_of, len(dataset.labels), tfidf_probabilities)

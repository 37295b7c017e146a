"""Classifiers for the tests of attributions: tiny random models, and one that goes by keywords."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from models import tiny_model
from reference import in_float64
from sentilora.classifier import Classifier
from sentilora.correction import Correction
from sentilora.cutting import Read
from sentilora.encoding import PromptEncoder
from sentilora.scoring import LabelScorer, Scores
from sentilora.task import Task
from tiny_tokenizers import byte_level
from tuned import attached, base_in_memory

TASK = Task("Review: {text}\nSentiment:", ("negative", "positive", "so-so"), max_length=96)


def random_classifier(
    architecture: str = "llama", task: Task = TASK, *, exact: bool = False
) -> Classifier:
    """A tiny model with an adapter that does something; `exact` makes it one in float64."""
    model = tiny_model(architecture)
    base = base_in_memory(model)
    tuned = attached(in_float64(model) if exact else model)
    return Classifier(LabelScorer(tuned, PromptEncoder(task, byte_level())), base.identity)


def keyword_classifier(weights: dict[str, float], limit: int = 10_000) -> Any:
    """Finds a text the more positive, the more the words in it weigh; reads `limit` characters."""

    def score(texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Scores:
        totals = [sum(weights.get(word, 0.0) for word in text.split()) for text in texts]
        odds = np.array(totals, dtype=np.float64)
        log_probs = np.stack([-np.logaddexp(0, odds), -np.logaddexp(0, -odds)], axis=1)
        return Scores(log_probs.astype(np.float32), np.ones(len(texts), dtype=bool))

    def read(text: str) -> Read:
        kept = min(limit, len(text))
        return Read(text[:kept], ((0, kept),))

    return SimpleNamespace(
        task=Task("{text}\nSentiment:", ("negative", "positive")),
        correction=Correction(),
        scorer=SimpleNamespace(score=score, encoder=SimpleNamespace(read=read)),
    )

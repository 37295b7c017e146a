"""What training lessens: the loss of each row's own label, by its label's weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sentilora.encoding import EncodedPrompt
from sentilora.scoring import LabelScorer
from sentilora.training.settings import TrainSettings

LossFunction = Callable[[Sequence[EncodedPrompt], Sequence[int]], Tensor]
Weights = NDArray[np.float64]


def label_weights(settings: TrainSettings, gold: Sequence[int], labels: int) -> Weights:
    """[K] what a row of each label counts for; 1 on average over the training rows `gold` [N].

    "balanced" gives every label the same part in the loss, N / (K n_k) (King and Zeng 2001).
    """
    if settings.class_weight is None:
        return np.ones(labels)
    counts = np.bincount(np.asarray(gold), minlength=labels)
    there = np.count_nonzero(counts)
    return len(gold) / (there * np.maximum(counts, 1))


def loss_function(scorer: LabelScorer, settings: TrainSettings, weights: Weights) -> LossFunction:
    """From n prompts and label indices to their [n] losses, with gradients."""
    plain = {"vocabulary": scorer.loss, "labels": scorer.label_loss}[settings.objective]

    def weighted(prompts: Sequence[EncodedPrompt], gold: Sequence[int]) -> Tensor:
        losses = plain(prompts, gold)
        return losses * torch.as_tensor(weights[list(gold)], dtype=losses.dtype).to(losses.device)

    return plain if settings.class_weight is None else weighted

"""Integrated gradients: the label's log-odds, shared out among the text's tokens.

On the straight way from a text of nothing but average tokens to the text itself, each token is
credited with what its own change brings (Sundararajan, Taly and Yan 2017). The credits' sum is what
the log-odds gain on the way (completeness), up to the error of the sum that stands for the
integral: the *residual*. The average token is the mean of the base's embeddings. The integral is
taken by Gauss and Legendre's rule, whose points are dense at the ends of the way: behind a norm,
most happens at once where embeddings leave the average.

A token's credit goes to the word that it stands for, in parts where these are several. Tokens of
the template, and of white space alone, stay what they are all the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sentilora.attribution.asking import Found, ask
from sentilora.errors import UserError
from sentilora.scoring.scorer import evaluating
from sentilora.scoring.sequences import batches
from sentilora.wanted import all_labels

if TYPE_CHECKING:
    from sentilora.attribution.reading import Reading, Span
    from sentilora.classifier import Classifier
    from sentilora.scoring import LabelScorer

FEWEST_POINTS, MOST_POINTS = 32, 256
# What residual is small enough: a share of the gain, and nats, for a gain near 0.
_RELATIVE, _ABSOLUTE = 0.02, 0.02
_TOKENS = 512  # at once; every one of them has logits over the whole vocabulary
_EMBEDDINGS = 4096  # at once, for their mean


def gradients(classifier: Classifier, reading: Reading, label: int | None) -> Found:
    """The points are doubled until the residual is small, or there are `MOST_POINTS`.

    `label` None is the chosen one. Raises `UserError` for a base that takes no embeddings.
    """
    whole = ask(classifier, [reading.shown])
    label = int(whole.predicted[0]) if label is None else label
    scorer, seen = classifier.scorer, reading.seen_words
    shares = word_shares(scorer.encoder.spans(reading.shown), [reading.seen[k] for k in seen])
    _check_takes_embeddings(scorer)
    with evaluating(scorer.model):
        credits, residual = _credits(_Path(scorer, reading.shown, label, shares.sum(axis=1) > 0))
    by_word = credits @ shares
    return Found(whole, label, dict(zip(seen, by_word.tolist(), strict=True)), residual)


def _check_takes_embeddings(scorer: LabelScorer) -> None:
    model: Any = getattr(scorer, "model", None)  # another engine's has none
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if base is None or "inputs_embeds" not in signature(base.forward).parameters:
        raise UserError(
            "This base can't be asked for gradients: it takes no embeddings in place of token ids. "
            "Use --method occlusion."
        )


def word_shares(tokens: Sequence[Span], words: Sequence[Span | None]) -> NDArray[np.float64]:
    """[T, W] which part of each token is which word's: of its characters that are any word's."""
    shared = np.zeros((len(tokens), len(words)))
    for k, word in enumerate(words):
        if word is not None:
            for t, (start, end) in enumerate(tokens):
                shared[t, k] = max(0, min(end, word[1]) - max(start, word[0]))
    total = shared.sum(axis=1, keepdims=True)
    return np.divide(shared, total, out=shared, where=total > 0)


def _credits(path: _Path) -> tuple[NDArray[np.float64], float]:
    """[T] each token's credit, and the residual."""
    start, end = path.ends()
    points = FEWEST_POINTS
    while True:
        credits = path.integral(points)
        residual = float(credits.sum()) - (end - start)
        enough = abs(residual) <= _ABSOLUTE + _RELATIVE * abs(end - start)
        if enough or points >= MOST_POINTS:
            return credits, residual
        points *= 2


class _Path:
    """The way from average tokens to the text, and the log-odds along it.

    Every label is predicted behind the prompt in as few rows as the scorer would use; a token has
    its place in each.
    """

    def __init__(
        self, scorer: LabelScorer, text: str, label: int, changed: NDArray[np.bool_]
    ) -> None:
        """`changed` [T]: which of the prompt's tokens begin as average ones."""
        model, encoder = scorer.model, scorer.encoder
        self.model = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.label, self.labels = label, len(encoder.label_ids)
        wanted = all_labels(encoder.encode([text]), encoder.label_ids)
        self.batch = next(batches(wanted, 0, lambda: 2**62)).to(scorer.device)
        self.tokens = len(changed)
        embed = self.model.get_input_embeddings()
        with torch.no_grad():
            self.end = embed(self.batch.input_ids)  # [B, T', D]
            self.step = torch.zeros_like(self.end)
            at = torch.as_tensor(np.flatnonzero(changed), device=scorer.device)
            self.step[:, at] = self.end[:, at] - _average(embed)

    def ends(self) -> tuple[float, float]:
        """The log-odds at the beginning and at the end of the way."""
        with torch.no_grad():
            start, end = (float(self._log_odds(self._at([share]))[0]) for share in (0.0, 1.0))
        return start, end

    def integral(self, points: int) -> NDArray[np.float64]:
        """[T] each token's credit, by so many points."""
        nodes, weights = np.polynomial.legendre.leggauss(points)  # on [-1, 1]
        total = torch.zeros(self.end.shape, dtype=torch.float64)  # on the CPU: MPS has none
        size = max(1, _TOKENS // self.end[..., 0].numel())
        for first in range(0, points, size):
            part = slice(first, first + size)
            x = self._at((nodes[part] + 1) / 2).requires_grad_()
            (slope,) = torch.autograd.grad(self._log_odds(x).sum(), x)
            weight = torch.as_tensor(weights[part] / 2)
            total += torch.einsum("s,sbtd->btd", weight, slope.cpu().double())
        credits = (total * self.step.cpu().double()).sum(dim=(0, 2))
        return credits[: self.tokens].numpy()

    def _at(self, shares: Any) -> Tensor:
        """[S, B, T', D] the embeddings at shares of the way."""
        share = torch.as_tensor(shares, dtype=torch.float64)
        back = (share - 1).to(self.end.dtype).view(-1, 1, 1, 1)
        return self.end + back.to(self.end.device) * self.step

    def _log_odds(self, x: Tensor) -> Tensor:
        """[S] of embeddings [S, B, T', D], by the model's own forward."""
        batch = self.batch
        logits = self.model(inputs_embeds=x.flatten(0, 1), use_cache=False).logits
        picked = logits.unflatten(0, x.shape[:2])[:, batch.position_rows, batch.position_columns]
        wide = picked.to(torch.promote_types(picked.dtype, torch.float32))
        terms = torch.log_softmax(wide, dim=-1)[:, batch.term_positions, batch.term_tokens]
        zeros = terms.new_zeros(len(x), self.labels)
        log_probs = zeros.index_add(1, batch.term_slots, terms)  # [S, K]
        others = [k for k in range(self.labels) if k != self.label]
        return log_probs[:, self.label] - torch.logsumexp(log_probs[:, others], dim=1)


def _average(embed: Any) -> Tensor:
    """[D] the mean of all embeddings, as the model is given them (Gemma scales them)."""
    ids = torch.arange(embed.weight.shape[0], device=embed.weight.device)
    sums = [embed(part).cpu().double().sum(dim=0) for part in ids.split(_EMBEDDINGS)]
    average = torch.stack(sums).sum(dim=0) / len(ids)
    return average.to(embed.weight.dtype).to(embed.weight.device)

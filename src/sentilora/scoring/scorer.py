"""`LabelScorer`: exact log p(label | text), for any Hugging Face causal LM.

Training, evaluation, prediction and export all ask this one thing, so this one class answers it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from sentilora.devices import release_memory
from sentilora.encoding import EncodedPrompt, PromptEncoder, texts_cut
from sentilora.errors import UserError
from sentilora.scoring.engine import PlainEngine, SharedEngine
from sentilora.scoring.frozen import FrozenEngine
from sentilora.scoring.scores import Scores
from sentilora.scoring.sequences import Batch, batches
from sentilora.wanted import Wanted, all_labels, gold_labels

logger = logging.getLogger(__name__)

Engine = FrozenEngine | SharedEngine | PlainEngine

# Padded tokens run at once when scoring: as many as make some long rows, for threads to share.
TOKEN_BUDGET = 4096

# How far the fast path may be from the model's own forward on the probe, in log-probability. A
# path that misreads an architecture is off by far more, rounding by far less.
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.4}
_PROBES = ("a fine film", "not one that I would want to sit through again, whatever they pay me")


class LabelScorer:
    """Scores texts with a causal LM, and gives the loss that trains it.

    Parameters
    ----------
    model
        A Hugging Face causal LM, with or without PEFT adapters.
    encoder
        Makes prompts and label ids.
    token_budget
        How many padded tokens are run at once when scoring.

    check
        False takes the fastest path that knows the model without a comparison, for a caller that
        holds its scores against known ones.

    On construction the fast paths are compared with the model's own forward on a probe; one that
    differs, or can't run the model, isn't used, which is said once in the log.
    """

    def __init__(
        self,
        model: Any,
        encoder: PromptEncoder,
        *,
        token_budget: int = TOKEN_BUDGET,
        check: bool = True,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.token_budget = token_budget
        causal_lm = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._check_window(causal_lm)
        self.device = causal_lm.get_input_embeddings().weight.device
        self._plain = PlainEngine(causal_lm, encoder.prefix_ids)
        self._engine: Engine = self._plain
        known = None if check else FrozenEngine.create(causal_lm, encoder.prefix_ids)
        self._engine = known or self._fastest_engine(causal_lm)

    @property
    def path(self) -> str:
        """Which path is in use: FrozenEngine, SharedEngine or PlainEngine, fastest first."""
        return type(self._engine).__name__

    def score(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Scores:
        """Scores of `texts`, in their order. `progress` is told how many more are done."""
        return self.score_prompts(self.encoder.encode(texts), progress)

    def score_prompts(
        self, prompts: Sequence[EncodedPrompt], progress: Callable[[int], None] | None = None
    ) -> Scores:
        """As `score`, for prompts that are encoded already. Dropout is off, whatever the mode."""
        labels = len(self.encoder.label_ids)
        log_probs = np.zeros(len(prompts) * labels)
        greedy = np.ones(len(prompts) * labels, dtype=bool)

        def take(batch: Batch, prepared: Any) -> None:
            terms, chosen = self._engine.terms(batch, prepared)
            slots = batch.term_slots.cpu().numpy()
            np.add.at(log_probs, slots, terms.cpu().double().numpy())  # MPS has no float64
            np.logical_and.at(greedy, slots, chosen.cpu().numpy())

        self._infer(prompts, take, progress)
        return Scores(
            log_probs.reshape(-1, labels).astype(np.float32),
            np.asarray(greedy.reshape(-1, labels).any(axis=1)),
            texts_cut=texts_cut(prompts),
        )

    def probabilities(
        self,
        prompts: Sequence[EncodedPrompt],
        progress: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """[N, K] each label's probability given that it is one of the labels.

        Those of `score_prompts`, for less: labels of one token are held against each other by their
        own rows of the vocabulary alone.
        """
        alone = all(len(ids) == 1 for ids in self.encoder.label_ids)
        if not alone or any(prompt.continuations for prompt in prompts):
            return self.score_prompts(prompts, progress).probabilities
        logits = np.zeros(len(prompts) * len(self.encoder.label_ids))

        def take(batch: Batch, prepared: Any) -> None:
            found = self._engine.token_logits(batch, prepared).cpu().double().numpy()
            logits[batch.term_slots.cpu().numpy()] = found

        self._infer(prompts, take, progress)
        return softmax(logits.reshape(-1, len(self.encoder.label_ids)), axis=1).astype(np.float32)

    def loss(self, prompts: Sequence[EncodedPrompt], gold: Sequence[int]) -> Tensor:
        """[N] the negative log-likelihood of each prompt's own label, with gradients.

        The generation objective: cross-entropy over the whole vocabulary, summed over the
        label's tokens. `gold` holds label indices. All rows are run at once: the caller cuts its
        batches to what memory holds.
        """
        wanted = gold_labels(prompts, self.encoder.label_ids, gold)
        return -self._log_likelihood(wanted, len(prompts), prompts)

    def label_loss(self, prompts: Sequence[EncodedPrompt], gold: Sequence[int]) -> Tensor:
        """[N] the cross-entropy over the labels alone, with gradients; otherwise as `loss`."""
        labels = len(self.encoder.label_ids)
        wanted = all_labels(prompts, self.encoder.label_ids)
        flat = self._log_likelihood(wanted, len(prompts) * labels, prompts)
        scores = flat.view(len(prompts), labels)
        target = torch.as_tensor(list(gold), device=scores.device)
        return torch.nn.functional.cross_entropy(scores, target, reduction="none")

    def _log_likelihood(
        self, wanted: list[list[Wanted]], slots: int, prompts: Sequence[EncodedPrompt]
    ) -> Tensor:
        prepared: Any = self._engine.prepare(sum(prompt.shared for prompt in prompts))
        parts = []
        for batch in self._batches(wanted, lambda: 2**62):
            terms, _ = self._engine.terms(batch.to(self.device), prepared)
            zeros = torch.zeros(slots, dtype=terms.dtype, device=terms.device)
            parts.append(zeros.index_add(0, batch.term_slots.to(self.device), terms))
        return torch.stack(parts).sum(dim=0)

    def _infer(
        self,
        prompts: Sequence[EncodedPrompt],
        take: Callable[[Batch, Any], None],
        progress: Callable[[int], None] | None,
    ) -> None:
        """Hands the batches of all labels to `take`, with what the engine prepared for them.

        Gradients and dropout are off. `progress` is told of the prompts done after each batch.
        """
        wanted = all_labels(prompts, self.encoder.label_ids)
        pending = np.array([sum(len(label.label_ids) for label in row) for row in wanted])
        with torch.inference_mode(), evaluating(self.model):
            prepared: Any = self._engine.prepare(sum(prompt.shared for prompt in prompts))
            for batch in self._batches(wanted, lambda: self.token_budget):
                self._take(batch, take, prepared)
                rows = batch.term_slots.cpu().numpy() // len(self.encoder.label_ids)
                np.subtract.at(pending, rows, 1)
                if progress is not None:
                    progress(int((pending[np.unique(rows)] == 0).sum()))

    def _take(self, batch: Batch, take: Callable[[Batch, Any], None], prepared: Any) -> None:
        """`take` on the batch, or on its halves where the device's memory doesn't suffice."""
        try:
            take(batch.to(self.device), prepared)
        except torch.OutOfMemoryError:
            if len(batch.runs) == 1:
                raise
        else:
            return
        # The error is gone by now, and what it held can be used again.
        self.token_budget = max(1, self.token_budget // 2)
        release_memory(self.device)
        logger.warning("Memory ran out: going on with %d tokens at once.", self.token_budget)
        for half in batch.halves():
            self._take(half, take, prepared)

    def _batches(
        self, wanted: list[list[Wanted]], token_budget: Callable[[], int]
    ) -> Iterator[Batch]:
        prefix_length, branching = len(self.encoder.prefix_ids), self._engine.branching
        return batches(wanted, prefix_length, token_budget, branching=branching)

    def _check_window(self, causal_lm: Any) -> None:
        window = _window(causal_lm.config.get_text_config())
        longest = self.encoder.task.max_length
        if window is not None and longest > window:
            raise UserError(
                f"The maximum length of {longest} tokens is more than this base can read "
                f"({window}). Lower --max-length."
            )

    def _fastest_engine(self, causal_lm: Any) -> Engine:
        """The fastest path that runs this architecture and agrees with its own forward."""
        prompts = self.encoder.encode(_PROBES)
        plain = self._probe(self._plain, prompts)
        chosen: Engine = self._plain
        objections = []
        for kind in (FrozenEngine, SharedEngine):
            engine, objection = self._try(kind, causal_lm, prompts, plain)
            if engine is not None:
                chosen = engine
                break
            objections.append(f"{kind.__name__} {objection}")
        if objections:
            level = logging.WARNING if chosen is self._plain else logging.INFO
            why = "; ".join(objections)
            logger.log(level, "The slower %s is used: %s.", type(chosen).__name__, why)
        return chosen

    def _try(
        self,
        kind: type[FrozenEngine] | type[SharedEngine],
        causal_lm: Any,
        prompts: Sequence[EncodedPrompt],
        plain: NDArray[np.float32],
    ) -> tuple[Engine | None, str]:
        """An engine of a kind; or None, and what speaks against it."""
        try:
            engine = kind.create(causal_lm, self.encoder.prefix_ids)
            if engine is None:
                return None, "doesn't know this architecture or its adapters"
            gap = float(np.abs(self._probe(engine, prompts) - plain).max())
        except torch.OutOfMemoryError:
            raise
        except (TypeError, AttributeError, LookupError, ValueError, RuntimeError) as error:
            return None, f"can't run this architecture ({type(error).__name__}: {error})"
        if gap <= _TOLERANCE.get(self.model.dtype, 0.4):
            return engine, ""
        return None, f"is {gap:.2g} from this architecture's own forward on a probe"

    def _probe(self, engine: Engine, prompts: Sequence[EncodedPrompt]) -> NDArray[np.float32]:
        self._engine = engine
        return self.score_prompts(prompts).log_probs


def _window(config: Any) -> int | None:
    """How many tokens a model reads, all rows of a batch alike.

    LongRoPE (Phi-3's 128k models) turns every row by other factors once the longest row of a batch
    passes the original window, so that a row's scores would depend on its company.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope" and "original_max_position_embeddings" in rope:
        return int(rope["original_max_position_embeddings"])
    return getattr(config, "max_position_embeddings", None)


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Every module in evaluation mode, and then each as it was."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True

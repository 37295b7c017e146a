"""SmolLM2 with a classification head, as `peft` trains one for sequence classification.

A random linear layer reads the prompt's last hidden state; it and the same LoRA adapter as the
product's are trained on the cross-entropy over the classes, with the product's settings. The body
is run by the product's own engine, so that the study takes a seventh of the time;
`tests/test_head_peer.py` holds loss and gradients against the stock
`AutoModelForSequenceClassification`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sentilora.encoding import EncodedPrompt
from sentilora.scoring import LabelScorer, Scores
from sentilora.scoring.sequences import batches
from sentilora.training import choose_settings
from sentilora.wanted import gold_labels
from study.methods import Answer, Job
from study.methods.tuned import tune_and_ask

BUDGET = 2048  # tokens at once where no gradients are needed
# By validation rows: few rows move a layer that starts from nothing too little at the product's
# rate (with 32 of two labels 2e-3 was the best, with 128 much the best 4e-3; with 128 of three
# labels they were alike). Where the product's is 4e-3, a head goes faster of itself.
RATES_FOR_FEW = ((64, 2e-3), (256, 4e-3))  # up to so many rows
FEW_LABELS = 5
HIGHEST_RATE = 2e-3


def head(job: Job) -> Answer:
    """The same rank, targets, prompt and training settings as the product's own, but for the
    learning rate."""
    classes = len(job.data.labels)
    job = replace(
        job, options={"learning_rate": _rate(len(job.train.texts), classes), **job.options}
    )
    return tune_and_ask(job, lambda tuning: HeadScorer(tuning.scorer, classes, job.seed))


def _rate(rows: int, classes: int) -> float:
    if classes <= FEW_LABELS:
        for most, rate in RATES_FOR_FEW:
            if rows <= most:
                return rate
    return min(choose_settings({}, rows, 0, classes).settings.learning_rate, HIGHEST_RATE)


class HeadScorer(LabelScorer):
    """Gives a head's losses and class log-probabilities where a scorer gives its labels'.

    The head becomes the model's module `score`, drawn as transformers draws one.
    """

    def __init__(self, scorer: LabelScorer, classes: int, seed: int) -> None:
        super().__init__(scorer.model, scorer.encoder, check=False)
        config = scorer.model.config.get_text_config()
        self.layer = nn.Linear(config.hidden_size, classes, bias=False)
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(self.layer.weight, std=config.initializer_range, generator=generator)
        self.layer.to(scorer.model.device)
        scorer.model.add_module("score", self.layer)

    def loss(self, prompts: Sequence[EncodedPrompt], gold: Sequence[int]) -> Tensor:
        """[N] cross-entropies over the classes, with gradients."""
        logits = self._logits(prompts, lambda: 2**62)
        wanted = torch.tensor(list(gold), device=logits.device)
        return nn.functional.cross_entropy(logits, wanted, reduction="none")

    def score_prompts(
        self, prompts: Sequence[EncodedPrompt], progress: Callable[[int], None] | None = None
    ) -> Scores:
        """The classes' log-probabilities as those of labels; a head always says one."""
        was_training = [module for module in self.model.modules() if module.training]
        self.model.eval()
        with torch.inference_mode():
            found = self._logits(prompts, lambda: BUDGET).log_softmax(dim=1).cpu().numpy()
        for module in was_training:
            module.training = True
        return Scores(found, np.ones(len(prompts), dtype=bool))

    def probabilities(
        self, prompts: Sequence[EncodedPrompt], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """The head's own."""
        return self.score_prompts(prompts, progress).probabilities

    def _logits(self, prompts: Sequence[EncodedPrompt], budget: Callable[[], int]) -> Tensor:
        """[N, K] in fp32, whatever the body's dtype."""
        ends = gold_labels(prompts, [[0]], [0] * len(prompts))  # a term where each prompt ends
        engine: Any = self._engine
        prepared = engine.prepare(sum(prompt.shared for prompt in prompts))
        width = len(self.encoder.prefix_ids)
        parts, rows = [], []
        for batch in batches(ends, width, budget, branching=engine.branching):
            hidden = engine._hidden(batch.to(self.device), prepared)
            parts.append(self.layer(hidden[batch.term_positions].float()))
            rows.append(batch.term_slots)
        return torch.cat(parts)[torch.argsort(torch.cat(rows))]

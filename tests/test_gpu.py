"""A GPU says what the CPU says: scores, a step's gradient, and an adapter from one on the other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models import tiny_model
from sentilora.adapters import trainable_parameters
from sentilora.bases import load_base, resolve
from sentilora.classifier import load
from sentilora.encoding import PromptEncoder
from sentilora.scoring import LabelScorer
from sentilora.training import Rows
from sentilora.training.gradients import Gradients
from tiny_tokenizers import byte_level
from tuned import GOLD, TASK, TEXTS, attached, save_tuned, train, write_base

GPU = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use"),
]
architectures = pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma3"])


def scorer(architecture: str, device: str) -> LabelScorer:
    model = attached(tiny_model(architecture)).to(device)
    return LabelScorer(model, PromptEncoder(TASK, byte_level()))


def step(asked: LabelScorer) -> tuple[float, list[torch.Tensor]]:
    """The loss of a batch in two parts, and its gradient."""
    parameters = list(trainable_parameters(asked.model).values())
    rows = Rows(asked.encoder.encode(TEXTS), GOLD)
    shared = len(asked.encoder.prefix_ids)
    found = Gradients(asked.loss, rows, parameters, shared=shared, seed=0, most=4)
    loss = found.accumulate(range(len(TEXTS)), 1, lambda rows: None)
    return loss, [parameter.grad.cpu() for parameter in parameters if parameter.grad is not None]


@architectures
def test_scores(architecture: str) -> None:
    expected, found = (scorer(architecture, each).score(TEXTS) for each in ("cpu", GPU))
    assert found.log_probs == pytest.approx(expected.log_probs, abs=1e-4)
    assert (found.greedy == expected.greedy).all()


@architectures
def test_the_gradient_of_a_step(architecture: str) -> None:
    (expected, gradients), (found, others) = (step(scorer(architecture, d)) for d in ("cpu", GPU))
    assert found == pytest.approx(expected, abs=1e-4)
    most = max(float(gradient.abs().max()) for gradient in gradients)
    assert most > 0
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-3 * most)


def test_what_was_tuned_on_a_gpu_is_verified_on_the_cpu(tmp_path: Path) -> None:
    base = load_base(resolve(str(write_base(tmp_path / "base"))), device=GPU, dtype="float32")
    tuning, result = train(base, tmp_path / "run")
    saved = save_tuned(tuning, result, tmp_path / "adapter")
    found = load(saved.path, device="cpu", dtype="float32").score(TEXTS).log_probs
    assert found == pytest.approx(tuning.scorer.score(TEXTS).log_probs, abs=1e-3)

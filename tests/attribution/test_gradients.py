"""Integrated gradients against a plain sum along the way, and their completeness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models_in_memory import TASK, random_classifier
from torch import Tensor

from narrow_device import NarrowDevice
from reference import plain_label_ids
from sentilora.attribution import attribute, gradients
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.task import Task
from tiny_tokenizers import byte_level, gemma, opens_with_bos, phi_3

TEXT = "the film is n't very good"
ARCHITECTURES = ("llama", "gpt2", "qwen2", "gemma")


class Plain:
    """The log-odds of one label along the way, a label and a point at a time."""

    def __init__(self, classifier: Any, label: str) -> None:
        encoder = classifier.scorer.encoder
        self.model = classifier.scorer.model.get_base_model()
        self.k = TASK.labels.index(label)
        tokenizer = encoder.tokenizer
        self.parts = [
            plain_label_ids(tokenizer, TASK, TEXT, each, encoder.terminator) for each in TASK.labels
        ]
        self.prompt = self.parts[0][0]
        rendered = tokenizer(TASK.render(TEXT), return_offsets_mapping=True).offset_mapping
        before = len(TASK.instruction)
        own = [(a - before, b - before) for a, b in rendered]
        self.words = [_place(TEXT, n) for n in range(len(TEXT.split()))]
        self.members = [[t for t, span in enumerate(own) if _meets(span, w)] for w in self.words]
        self.embed = self.model.get_input_embeddings()
        with torch.no_grad():
            self.end = self.embed(torch.tensor(self.prompt))
            average = self.embed(torch.arange(self.embed.weight.shape[0])).mean(dim=0)
            self.start = self.end.clone()
            self.start[[t for members in self.members for t in members]] = average

    def log_odds(self, prompt: Tensor) -> Tensor:
        values = []
        for _, label in self.parts:
            behind = self.embed(torch.tensor(label[:-1], dtype=torch.int64))
            whole = torch.cat([prompt, behind])[None]
            logits = self.model(inputs_embeds=whole, use_cache=False).logits[0]
            log_probs = torch.log_softmax(logits, dim=-1)
            at = torch.arange(len(prompt) - 1, len(prompt) - 1 + len(label))
            values.append(log_probs[at, torch.tensor(label)].sum())
        others = [value for k, value in enumerate(values) if k != self.k]
        return values[self.k] - torch.logsumexp(torch.stack(others), dim=0)

    def credits(self, points: int) -> list[float]:
        total = torch.zeros_like(self.end)
        for n in range(points):
            x = self.start + (n + 0.5) / points * (self.end - self.start)
            x = x.detach().requires_grad_()
            total += torch.autograd.grad(self.log_odds(x), x)[0] / points
        by_token = ((self.end - self.start) * total).sum(dim=1)
        return [float(by_token[members].sum()) for members in self.members]


def _place(text: str, n: int) -> tuple[int, int]:
    start = len(" ".join(text.split()[:n])) + (n > 0)
    return start, start + len(text.split()[n])


def _meets(one: Sequence[int], other: Sequence[int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_credits_are_those_of_a_plain_sum(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradients, "FEWEST_POINTS", 64)
    classifier = random_classifier(architecture, exact=True)
    attribution = attribute(classifier, TEXT, "positive", "gradients")
    plain = Plain(classifier, "positive")
    largest = attribution.most
    assert largest > 0.01
    assert attribution.scores == pytest.approx(plain.credits(100), abs=0.02 * largest)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("label", TASK.labels)
def test_credits_add_up_to_what_is_shared_out(architecture: str, label: str) -> None:
    classifier = random_classifier(architecture, exact=True)
    attribution = attribute(classifier, TEXT, label, "gradients")
    plain = Plain(classifier, label)
    with torch.no_grad():
        start, end = float(plain.log_odds(plain.start)), float(plain.log_odds(plain.end))
    assert attribution.log_odds == pytest.approx(end, abs=1e-4)
    total = sum(attribution.scores)  # type: ignore[arg-type]
    assert attribution.residual == pytest.approx(total - (end - start), abs=1e-6)
    assert abs(attribution.residual) <= 0.02 + 0.02 * abs(end - start)


def test_a_residual_that_is_large_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One point isn't enough, and nothing hides that."""
    monkeypatch.setattr(gradients, "FEWEST_POINTS", 1)
    monkeypatch.setattr(gradients, "MOST_POINTS", 1)
    classifier = random_classifier(exact=True)
    attribution = attribute(classifier, TEXT, method="gradients")
    plain = Plain(classifier, attribution.label)
    with torch.no_grad():
        gain = float(plain.log_odds(plain.end) - plain.log_odds(plain.start))
    total = sum(attribution.scores)  # type: ignore[arg-type]
    assert abs(attribution.residual) > 1e-3  # type: ignore[arg-type]
    assert attribution.residual == pytest.approx(total - gain, abs=1e-6)


def test_a_device_without_float64_gives_the_same() -> None:
    classifier = random_classifier()
    expected = attribute(classifier, TEXT, method="gradients")
    with NarrowDevice():
        found = attribute(classifier, TEXT, method="gradients")
    assert found == expected


def test_the_model_is_left_as_it_was() -> None:
    classifier = random_classifier()
    model = classifier.scorer.model
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attribute(classifier, TEXT, method="gradients")
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_token_is_shared_by_the_words_in_it() -> None:
    shares = gradients.word_shares([(0, 0), (0, 3), (3, 7), (7, 8)], [(0, 3), (3, 4), (5, 7)])
    expected = [[0, 0, 0], [1, 0, 0], [0, 1 / 3, 2 / 3], [0, 0, 0]]
    assert shares == pytest.approx(torch.tensor(expected).numpy())


ENCODERS = [
    PromptEncoder(Task("Review: {text}\nSentiment:", ("no", "yes"), max_length=500), make())
    for make in (byte_level, opens_with_bos, phi_3, gemma)
]


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.booleans())
def test_a_prompts_ids_have_their_characters(text: str, control: bool) -> None:
    """One span an id, in order, and nothing of the text is in none of them."""
    if control:  # plain characters, for which the text is encoded in another way
        text += " <|im_end|> <eos> end"
    for encoder in ENCODERS:
        spans = encoder.spans(text)
        assert len(spans) == len(encoder.encode([text])[0].ids)
        own = [span for span in spans if span != (0, 0)]
        assert own == sorted(own)
        covered = {k for start, end in own for k in range(start, end)}
        assert all(k in covered for k, c in enumerate(text) if c.isalnum() and c.isascii())
        assert max(covered, default=0) < max(1, len(text))


def test_a_base_that_takes_no_embeddings_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = random_classifier("llama")
    model = classifier.scorer.model
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    forward = base.forward
    monkeypatch.setattr(base, "forward", lambda input_ids, **more: forward(input_ids, **more))
    with pytest.raises(UserError, match="can't be asked for gradients"):
        attribute(classifier, "fine", method="gradients")

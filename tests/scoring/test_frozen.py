"""The frozen body's own ways: parts side by side, a known instruction, dropout, kept memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models import tiny_model, with_lora
from reference import in_float64
from sentilora.encoding import PromptEncoder
from sentilora.scoring import LabelScorer
from sentilora.scoring.frozen import attention, body, engine
from sentilora.scoring.frozen.dropout import Dropout, masked
from sentilora.scoring.frozen.parallel import side_by_side
from sentilora.scoring.frozen.workspace import Workspace, make_fresh
from sentilora.task import Task
from tiny_tokenizers import byte_level

ARCHITECTURES = ("gpt2", "qwen2", "llama")
LABELS = {
    "one token": ("negative", "positive"),
    "tries": ("very negative", "very positive", "positive", "negative not"),
}
TEXTS = ["word " * n for n in (1, 9, 2, 14, 3, 3, 7, 11, 5)]
GOLD = [row % 2 for row in range(len(TEXTS))]


@pytest.fixture
def two_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def scorer_for(architecture: str, labels: str = "one token") -> LabelScorer:
    model = in_float64(tiny_model(architecture))
    task = Task("Text: {text}\nSentiment:", LABELS[labels], max_length=100)
    scorer = LabelScorer(with_lora(model, architecture), PromptEncoder(task, byte_level()))
    assert scorer.path == "FrozenEngine"
    return scorer


def gradients(scorer: LabelScorer, texts: list[str] = TEXTS) -> list[Tensor]:
    """The loss, then the gradient of each adapter matrix."""
    loss = scorer.label_loss(scorer.encoder.encode(texts), GOLD[: len(texts)]).mean()
    weights = [p for p in scorer.model.parameters() if p.requires_grad]
    return [loss.detach(), *torch.autograd.grad(loss, weights)]


def assert_same(one: list[Tensor], other: list[Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        assert (a - b).abs().max() <= 1e-11 * max(1, float(b.abs().max()))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parts_and_a_known_instruction_change_nothing(
    architecture: str, labels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one label's probability asked for without the vocabulary."""
    monkeypatch.setattr(engine, "_LEAST_TOKENS", 10**9)
    monkeypatch.setattr(engine, "_ROWS_FOR_PREFIX", 10**9)
    whole = scorer_for(architecture, labels)
    scores, expected = whole.score(TEXTS), gradients(whole)

    monkeypatch.setattr(engine, "_LEAST_TOKENS", 1)
    monkeypatch.setattr(engine, "_MOST_TOKENS", 16)
    monkeypatch.setattr(engine, "_ROWS_FOR_PREFIX", 1)
    sizes: list[int] = []
    run = engine.Body.run

    def counting(self: Any, parts: Any) -> Tensor:
        sizes.append(len(parts))
        return run(self, parts)

    monkeypatch.setattr(engine.Body, "run", counting)
    parts = scorer_for(architecture, labels)
    found = parts.score(TEXTS)
    assert max(sizes) > 2  # without gradients in more parts than threads
    assert np.abs(found.log_probs - scores.log_probs).max() <= 1e-6
    assert (found.greedy == scores.greedy).all()
    prompts = parts.encoder.encode(TEXTS)
    assert np.abs(parts.probabilities(prompts) - scores.probabilities).max() <= 1e-6
    sizes.clear()
    assert_same(gradients(parts), expected)
    assert sizes == [2]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_memory_that_is_used_again_changes_nothing(architecture: str) -> None:
    scorer = scorer_for(architecture)
    short, long = TEXTS[:3], TEXTS
    for texts in (short, long, short, long[::-1][:5]):
        assert_same(gradients(scorer, texts), gradients(scorer_for(architecture), texts))
    # Two graphs at a time: the second must not write where the first keeps.
    weights = [p for p in scorer.model.parameters() if p.requires_grad]
    prompts = scorer.encoder.encode(long)
    first = scorer.label_loss(prompts, GOLD).mean()
    scorer.label_loss(prompts[::-1], GOLD).mean().backward()
    assert_same(list(torch.autograd.grad(first, weights)), gradients(scorer_for(architecture))[1:])


def test_workspace_gives_out_memory_once_until_it_is_reset() -> None:
    workspace = Workspace(torch.device("cpu"))
    made = [workspace.empty((n, 3), torch.bfloat16) for n in range(1, 20)]
    for number, tensor in enumerate(made):
        tensor.fill_(number)
    assert all((tensor == number).all() for number, tensor in enumerate(made))
    assert [tensor.shape for tensor in made] == [(n, 3) for n in range(1, 20)]
    workspace.reset()
    assert workspace.empty((1, 3), torch.bfloat16).data_ptr() == made[0].data_ptr()
    assert workspace.empty((0, 3), torch.float32).shape == (0, 3)


# Dropout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dropout_is_that_of_peft(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one mask for all: each tenth channel is dropped, the others scaled up."""

    def channels(like: Tensor) -> Tensor:
        return (torch.arange(like.shape[-1]) % 10 != 3).expand(like.shape)

    class Fixed(torch.nn.Dropout):
        def forward(self, x: Tensor) -> Tensor:
            return x * channels(x) / (1 - self.p)

    scorer = scorer_for(architecture)
    for module in scorer.model.modules():
        if hasattr(module, "lora_dropout"):
            module.lora_dropout["default"] = Fixed(0.1)
    mask = lambda _self, like, _make: channels(like).to(torch.int8).contiguous()  # noqa: E731
    monkeypatch.setattr(Dropout, "draw", mask)
    fast = gradients(scorer)
    scorer._engine = scorer._plain
    assert_same(fast, gradients(scorer))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_dropout_takes_its_share_away_and_nothing_else(dtype: torch.dtype) -> None:
    x = torch.randn(300, 101, dtype=dtype)
    generator = torch.Generator().manual_seed(5)
    mask = Dropout(0.9, generator).draw(x, lambda shape, kind: torch.empty(shape, dtype=kind))
    kept = float(mask.double().mean())
    assert abs(kept - 0.9) < 4 * (0.09 / x.numel()) ** 0.5
    assert torch.equal(masked(x.clone(), mask), torch.where(mask.bool(), x, 0))
    again = Dropout(0.9, torch.Generator().manual_seed(5))
    assert torch.equal(again.draw(x, lambda s, k: torch.empty(s, dtype=k)), mask)
    assert not torch.equal(again.draw(x, lambda s, k: torch.empty(s, dtype=k)), mask)


# Side by side -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("two_threads")
def test_side_by_side_keeps_order_modes_and_threads() -> None:
    def task(number: int) -> Callable[[], tuple[int, int, bool, bool]]:
        return lambda: (
            number,
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
        )

    tasks = [task(number) for number in range(7)]
    assert side_by_side(tasks) == [(number, 1, False, False) for number in range(7)]
    with torch.inference_mode():
        assert side_by_side(tasks) == [(number, 1, False, True) for number in range(7)]
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_an_error_is_raised_when_all_have_ended() -> None:
    ended: list[int] = []

    def task(number: int) -> None:
        if number == 0:
            raise torch.OutOfMemoryError("no more")
        ended.append(number)

    with pytest.raises(torch.OutOfMemoryError):
        side_by_side([lambda n=n: task(n) for n in range(5)])
    assert sorted(ended) == [1, 2, 3, 4]
    assert torch.get_num_threads() == 2


# Long rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 5, 63, 64, 65, 200])
@pytest.mark.parametrize("front", [0, 7])
def test_attention_in_blocks_is_attention(width: int, front: int) -> None:
    torch.manual_seed(0)
    rows, groups, heads, size = 2, 2, 3, 4
    q = torch.randn(rows, groups, heads * width, size, dtype=torch.float64)
    k, v = torch.randn(2, rows, groups, front + width, size, dtype=torch.float64)
    columns = torch.arange(front + width)
    mask = torch.zeros(width, front + width, dtype=torch.float64)
    mask.masked_fill_(columns > torch.arange(width).unsqueeze(1) + front, float("-inf"))
    make, masks = make_fresh(q.device), mask.repeat(heads, 1)[None, None]
    expected, _ = attention.attend(q, k, v, masks, 0.3, make)
    found = attention.attend_in_blocks(q, k, v, width, torch.float64, 0.3)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_long_rows_score_as_ever(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = scorer_for(architecture, "one token").score(TEXTS)
    calls = []
    plain = attention.attend_in_blocks

    def counting(*given: Any) -> Tensor:
        calls.append(given)
        return plain(*given)

    for module in (attention, body):
        monkeypatch.setattr(module, "BLOCK", 2)
    monkeypatch.setattr(body, "attend_in_blocks", counting)
    found = scorer_for(architecture, "one token").score(TEXTS)
    assert calls
    assert np.abs(found.log_probs - scores.log_probs).max() <= 1e-6

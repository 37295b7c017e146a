"""`LabelScorer` against the plain computation: one row, unpadded, the whole string, every logit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from models import ARCHITECTURES, tiny_model, with_lora
from narrow_device import NarrowDevice
from reference import (
    greedy_tokens,
    in_float64,
    plain_log_prob,
    plain_log_probs,
)
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.scoring import LabelScorer, Scores
from sentilora.scoring.frozen import FrozenEngine
from sentilora.scoring.scorer import TOKEN_BUDGET
from sentilora.task import Task
from sentilora.training.randomness import training_mode
from sentilora.tuning import checkpoint_gradients
from tiny_tokenizers import TINY, byte_level
from tuned import base_in_memory

INSTRUCTION = "Text: {text}\nSentiment:"
TASKS = {
    "one token each": Task(INSTRUCTION, ("negative", "positive"), max_length=200),
    "several tokens": Task(INSTRUCTION, ("rather gloomy", "quite cheerful", "so so"), 200),
    "one begins another": Task(INSTRUCTION, ("positive", "positive not", "negative"), 200),
    "shared beginnings": Task(INSTRUCTION, ("very negative", "very positive", "positive"), 200),
}
# With the text at the prompt's end and runs of spaces as tokens, labels are joined with the text.
JOINED = Task("Is it positive? {text}", ("negative", "positive not"), max_length=200)
TEXTS = [
    "a gorgeous , witty , seductive movie",
    "silly",
    "",
    "simplistic , silly and tedious . it's so laddish and juvenile , only teenage boys could",
    "ends in spaces   ",
    "so <|im_end|> it ends",
    "🙂 good",
]
LENGTHS = ["silly " * n for n in (1, 2, 3, 5, 8, 13, 21)]


def scorer_for(
    model: Any, task: Task = TASKS["one token each"], tokenizer: Any = None, **options: Any
) -> LabelScorer:
    return LabelScorer(model, PromptEncoder(task, tokenizer or byte_level()), **options)


def plain(model: Any, scorer: LabelScorer, texts: Sequence[str] = TEXTS) -> torch.Tensor:
    """[N, K] by the reference; texts with control tokens by the encoder's ids."""
    encoder = scorer.encoder
    rows = []
    for text, prompt in zip(texts, encoder.encode(texts), strict=True):
        if "<|" in text:  # whose ids aren't those of the string; `test_encoding` has them
            labels = prompt.continuations or encoder.label_ids
            row = torch.stack([plain_log_prob(model, prompt.ids, label) for label in labels])
        else:
            row = plain_log_probs(model, encoder.tokenizer, encoder.task, text, encoder.terminator)
        rows.append(row)
    return torch.stack(rows)


def all_losses(scorer: LabelScorer, texts: Sequence[str] = TEXTS) -> torch.Tensor:
    """[N, K] log-probabilities in the model's own precision, through the loss."""
    prompts = scorer.encoder.encode(texts)
    labels = len(scorer.encoder.label_ids)
    return -torch.stack([scorer.loss(prompts, [k] * len(prompts)) for k in range(labels)], dim=1)


def close(fp32: Any, exact: Any) -> None:
    """Equal to 1e-5, and to the two last bits of the log-probabilities of labels as unlikely as
    e-100, whose steps in fp32 are near 1e-5 themselves."""
    assert (np.abs(fp32 - exact) <= 1e-5 + 2 * np.spacing(np.abs(fp32))).all()


@pytest.fixture
def softmax_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some architectures take the attention's softmax in fp32 whatever they are given."""
    stock = torch.nn.functional.softmax

    def softmax(given: torch.Tensor, *args: Any, dtype: Any = None, **kwargs: Any) -> torch.Tensor:
        return stock(given, *args, dtype=None if given.dtype == torch.float64 else dtype, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "softmax", softmax)


FROZEN = ("gpt2", "qwen2", "llama")  # what the frozen body knows


@pytest.fixture
def without_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The general path, for architectures that have a faster one."""
    monkeypatch.setattr(FrozenEngine, "create", lambda *given: None)


@pytest.mark.usefixtures("softmax_in_float64")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_float64_equals_the_plain_computation(architecture: str) -> None:
    model = in_float64(tiny_model(architecture))
    for task in TASKS.values():
        scorer = scorer_for(model, task)
        assert scorer.path == ("FrozenEngine" if architecture in FROZEN else "SharedEngine")
        gap = all_losses(scorer) - plain(model, scorer)
        assert gap.abs().max() <= 1e-9, task.labels


@pytest.mark.usefixtures("softmax_in_float64", "without_frozen")
@pytest.mark.parametrize("architecture", FROZEN)
def test_float64_without_the_frozen_body(architecture: str) -> None:
    model = in_float64(tiny_model(architecture))
    for task in TASKS.values():
        scorer = scorer_for(model, task)
        assert scorer.path == "SharedEngine"
        gap = all_losses(scorer) - plain(model, scorer)
        assert gap.abs().max() <= 1e-9, task.labels


@pytest.mark.usefixtures("softmax_in_float64")
@pytest.mark.parametrize("architecture", ["gpt2", "gemma3", "opt"])
def test_float64_where_labels_are_joined_with_the_text(architecture: str) -> None:
    model = in_float64(tiny_model(architecture))
    tokenizer = TINY["added_spaces"]()
    scorer = scorer_for(model, JOINED, tokenizer)
    prompts = scorer.encoder.encode(TEXTS)
    assert {prompt.continuations is None for prompt in prompts} == {True, False}
    assert (all_losses(scorer) - plain(model, scorer)).abs().max() <= 1e-9


@pytest.mark.usefixtures("softmax_in_float64")
@pytest.mark.parametrize("tokenizer", [name for name in TINY if name != "strips_white_space"])
def test_float64_with_every_kind_of_tokenizer(tokenizer: str) -> None:
    """A BOS token in front, a text at the very front, and so nothing or little that is shared."""
    model = in_float64(tiny_model("qwen2"))
    for template in (INSTRUCTION, "{text}\nSentiment:", "{text} Is it positive?\n\n"):
        prefix = " " if template.endswith(":") else ""
        task = Task(template, ("negative", "positive"), max_length=200, label_prefix=prefix)
        try:
            scorer = scorer_for(model, task, TINY[tokenizer]())
        except UserError:
            assert prefix == ""  # this tokenizer joins the label with the template's end
            continue
        assert scorer.path != "PlainEngine"
        assert (all_losses(scorer) - plain(model, scorer)).abs().max() <= 1e-9


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fp32_scores(architecture: str) -> None:
    model = tiny_model(architecture)
    for task in TASKS.values():
        scorer = scorer_for(model, task)
        with torch.no_grad():
            exact = plain(in_float64(model), scorer).numpy()
        close(scorer.score(TEXTS).log_probs, exact)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_of_every_lora_parameter(architecture: str) -> None:
    model = with_lora(tiny_model(architecture), architecture)
    scorer = scorer_for(model, TASKS["several tokens"])
    gold = [row % 3 for row in range(len(TEXTS))]
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in name for name in weights)

    fast = torch.autograd.grad(
        scorer.loss(scorer.encoder.encode(TEXTS), gold).mean(), list(weights.values())
    )
    exact = plain(model, scorer)[torch.arange(len(gold)), torch.tensor(gold)]
    slow = torch.autograd.grad(-exact.mean(), list(weights.values()))
    largest = max(gradient.abs().max() for gradient in slow)
    for name, a, b in zip(weights, fast, slow, strict=True):
        assert b.abs().max() > 0, name
        assert (a - b).abs().max() <= 1e-4 * b.abs().max(), name
        assert (a - b).abs().max() <= 1e-4 * largest, name


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma2", "bloom"])
def test_gradients_of_the_loss_over_labels(architecture: str) -> None:
    model = with_lora(tiny_model(architecture), architecture)
    scorer = scorer_for(model, TASKS["shared beginnings"])
    gold = [row % 3 for row in range(len(TEXTS))]
    weights = [p for p in model.parameters() if p.requires_grad]
    fast = scorer.label_loss(scorer.encoder.encode(TEXTS), gold)
    slow = torch.nn.functional.cross_entropy(
        plain(model, scorer), torch.tensor(gold), reduction="none"
    )
    assert fast.shape == (len(TEXTS),)
    assert (fast - slow).abs().max() <= 1e-5
    for a, b in zip(
        torch.autograd.grad(fast.mean(), weights),
        torch.autograd.grad(slow.mean(), weights),
        strict=True,
    ):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()


@pytest.mark.parametrize("architecture", ["llama", "opt", "falcon"])
def test_gradient_checkpointing_changes_nothing(architecture: str) -> None:
    """It makes the model drop its cache, and so the shared instruction with it; and blocks go by
    the flag of training, by which some drop out as well."""
    gradients = []
    for checkpointing in (False, True):
        base = base_in_memory(tiny_model(architecture))
        base.model.config.hidden_dropout = 0.5  # of Falcon's blocks; OPT's have 0.1
        if architecture == "opt":
            base.model.model.decoder.layerdrop = 1.0
        model = with_lora(base.model, architecture)
        scorer = scorer_for(model)
        if checkpointing:
            checkpoint_gradients(base)
        training_mode(model)
        loss = scorer.loss(scorer.encoder.encode(TEXTS), [0] * len(TEXTS)).mean()
        weights = [p for p in model.parameters() if p.requires_grad]
        gradients.append([loss.detach(), *torch.autograd.grad(loss, weights)])
    for a, b in zip(*gradients, strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bf16_is_no_further_from_fp32_than_the_plain_path(architecture: str) -> None:
    """On average over models and texts; a single row's rounding falls either way."""
    fast, slow = [], []
    texts = LENGTHS + TEXTS
    for seed in range(3):
        model = tiny_model(architecture, seed, dtype=torch.bfloat16)
        scorer = scorer_for(model)
        fast.append(scorer.score(texts).log_probs)
        with torch.no_grad():
            slow.append(plain(model, scorer, texts).numpy())
            exact = plain(model.float(), scorer, texts).numpy()  # of the same, rounded, weights
        fast[-1], slow[-1] = np.abs(fast[-1] - exact), np.abs(slow[-1] - exact)
    assert 0 < np.mean(fast) <= 1.25 * np.mean(slow)


@pytest.mark.parametrize("architecture", ["llama", "gemma"])
def test_a_device_without_float64_gives_the_same(architecture: str) -> None:
    model = tiny_model(architecture)
    for task in TASKS.values():
        scorer = scorer_for(model, task)
        prompts = scorer.encoder.encode(TEXTS)
        expected, probabilities = scorer.score_prompts(prompts), scorer.probabilities(prompts)
        with NarrowDevice():
            found, told = scorer.score_prompts(prompts), scorer.probabilities(prompts)
        assert (found.log_probs == expected.log_probs).all()
        assert (told == probabilities).all()


# Batches ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["gpt2", "qwen2", "gemma3", "bloom"])
def test_company_order_and_budget_change_nothing(architecture: str) -> None:
    model = tiny_model(architecture)
    for task in TASKS.values():
        texts = TEXTS + LENGTHS
        together = scorer_for(model, task).score(texts)
        alone = [scorer_for(model, task).score([text]) for text in texts[:3]]
        assert np.abs(together.log_probs[:3] - Scores.concatenate(alone).log_probs).max() <= 1e-5
        turned = scorer_for(model, task).score(texts[::-1])
        assert np.abs(together.log_probs - turned.log_probs[::-1]).max() <= 1e-5
        single = scorer_for(model, task, token_budget=1).score(texts)
        assert np.abs(together.log_probs - single.log_probs).max() <= 1e-5
        assert (together.greedy == turned.greedy[::-1]).all()
        assert (together.greedy == single.greedy).all()


@pytest.mark.parametrize("architecture", ["gpt2", "gemma3"])
def test_batches_are_halved_where_memory_runs_out(
    architecture: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = TASKS["shared beginnings"]
    expected = scorer_for(tiny_model(architecture), task).score(TEXTS + LENGTHS)
    scorer = scorer_for(tiny_model(architecture), task)
    stock, rows = scorer._engine.terms, []

    def terms(batch: Any, prepared: Any) -> Any:
        if len(batch.input_ids) > 3:
            raise torch.OutOfMemoryError("no more")
        rows.append(len(batch.input_ids))
        return stock(batch, prepared)

    monkeypatch.setattr(scorer._engine, "terms", terms)
    told: list[int] = []
    with caplog.at_level(logging.WARNING):
        scores = scorer.score(TEXTS + LENGTHS, told.append)
    assert np.abs(scores.log_probs - expected.log_probs).max() <= 1e-5
    assert (scores.greedy == expected.greedy).all()
    assert sum(told) == len(TEXTS + LENGTHS)
    assert scorer.token_budget < TOKEN_BUDGET
    assert f"{scorer.token_budget} tokens at once" in caplog.text
    assert max(rows) == 3

    def never(batch: Any, prepared: Any) -> Any:
        raise torch.OutOfMemoryError("no more")

    monkeypatch.setattr(scorer._engine, "terms", never)
    with pytest.raises(torch.OutOfMemoryError):  # there is no less than one row
        scorer.score(TEXTS)


def test_progress_counts_texts() -> None:
    for task in TASKS.values():
        for budget in (1, 50, 10_000):
            told: list[int] = []
            scorer_for(tiny_model("gpt2"), task, token_budget=budget).score(TEXTS, told.append)
            assert sum(told) == len(TEXTS)
            assert all(count >= 0 for count in told)


def test_no_texts() -> None:
    scores = scorer_for(tiny_model("gpt2")).score([])
    assert scores.log_probs.shape == (0, 2)
    assert scores.greedy.shape == scores.label_mass.shape == scores.predicted.shape == (0,)
    assert scores.probabilities.shape == (0, 2)


# Scores -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_is_what_generation_does(architecture: str) -> None:
    """For labels of one to three tokens, each of which the model says after some text or other."""
    model = tiny_model(architecture)
    scorer = scorer_for(model, JOINED)  # the text is last: random models like to echo
    prompts = scorer.encoder.encode(TEXTS + LENGTHS)
    said = [greedy_tokens(model, prompt.ids, 3) for prompt in prompts]
    # The last is the second's beginning and some other token, which it doesn't say.
    labels = [said[0], said[3][:2], said[5][:1], [said[3][0], 300]]
    scorer.encoder.label_ids = labels
    expected = [any(tokens[: len(label)] == label for label in labels) for tokens in said]
    assert scorer.score_prompts(prompts).greedy.tolist() == expected
    assert 3 <= sum(expected) < len(expected)
    scorer.encoder.label_ids = labels[-1:]
    assert not scorer.score_prompts(prompts).greedy[3]


def test_label_mass_and_probabilities() -> None:
    task = Task(INSTRUCTION, ("negative", "positive", "so"), max_length=200)
    scorer = scorer_for(tiny_model("gpt2"), task)
    scores = scorer.score(TEXTS)
    with torch.no_grad():
        exact = plain(scorer.model, scorer).double().numpy()
    assert np.allclose(scores.label_mass, np.exp(exact).sum(axis=1), rtol=1e-4)
    assert (scores.label_mass > 0).all()
    assert (scores.label_mass <= 1).all()
    odds = np.exp(exact) / np.exp(exact).sum(axis=1, keepdims=True)
    assert np.allclose(scores.probabilities, odds, rtol=1e-4)
    assert (scores.predicted == exact.argmax(axis=1)).all()
    for value in (scores.log_probs, scores.label_mass, scores.probabilities):
        assert value.dtype == np.float32


def test_unlikely_labels_still_have_probabilities() -> None:
    scores = Scores(np.array([[-2000.0, -2001.0]], dtype=np.float32), np.array([False]))
    assert np.allclose(scores.probabilities, [[0.7310586, 0.2689414]])
    assert scores.label_mass == 0


def test_loss_is_minus_the_gold_labels_log_probability() -> None:
    for task in TASKS.values():
        scorer = scorer_for(tiny_model("qwen2"), task)
        prompts = scorer.encoder.encode(TEXTS)
        gold = [(3 * row + 1) % len(task.labels) for row in range(len(TEXTS))]
        log_probs = scorer.score_prompts(prompts).log_probs
        picked = log_probs[np.arange(len(gold)), gold]
        close(scorer.loss(prompts, gold).numpy(), -picked)
        over_labels = torch.nn.functional.cross_entropy(
            torch.from_numpy(log_probs), torch.tensor(gold), reduction="none"
        )
        close(scorer.label_loss(prompts, gold).numpy(), over_labels.numpy())


def test_scoring_ignores_dropout_and_leaves_every_mode_as_it_was() -> None:
    model = with_lora(tiny_model("gpt2"), "gpt2")  # GPT-2 has dropout of its own
    scorer = scorer_for(model)
    before = scorer.score(TEXTS).log_probs
    model.train()
    model.get_submodule("base_model.model.transformer.drop").eval()
    modes = [module.training for module in model.modules()]
    assert (scorer.score(TEXTS).log_probs == before).all()
    LabelScorer(model, scorer.encoder)
    assert [module.training for module in model.modules()] == modes
    assert not all(modes)
    assert any(modes)


def test_an_adapter_takes_part() -> None:
    base = scorer_for(tiny_model("llama")).score(TEXTS).log_probs
    adapted = with_lora(tiny_model("llama"), "llama")
    scorer = scorer_for(adapted)
    assert np.abs(scorer.score(TEXTS).log_probs - base).max() > 0.01
    with adapted.disable_adapter():
        assert np.abs(scorer.score(TEXTS).log_probs - base).max() <= 1e-6


# The fast path ------------------------------------------------------------------------------------


def assert_plain_with_one_warning(
    model: Any, caplog: pytest.LogCaptureFixture, task: Task = TASKS["several tokens"]
) -> None:
    with caplog.at_level(logging.WARNING, logger="sentilora"):
        scorer = scorer_for(model, task)
        scores = scorer.score(TEXTS)
    assert scorer.path == "PlainEngine"
    assert len([record for record in caplog.records if "PlainEngine" in record.message]) == 1
    with torch.no_grad():
        assert np.abs(scores.log_probs - plain(model, scorer).numpy()).max() <= 1e-4


def test_odd_post_processing_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model("llama")
    model.register_forward_hook(
        lambda _module, _inputs, output: setattr(output, "logits", output.logits * 1.5)
    )
    assert_plain_with_one_warning(model, caplog)


def test_a_head_that_is_more_than_a_matrix_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """An adapter on the head does nothing at first, so that comparing scores can't tell."""

    class Doubled(torch.nn.Linear):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return super().forward(given) * 2

    model = tiny_model("llama")
    head = Doubled(32, model.config.vocab_size, bias=False)
    head.weight = model.lm_head.weight
    model.lm_head = head
    assert_plain_with_one_warning(model, caplog)


@pytest.mark.usefixtures("without_frozen")
def test_a_body_without_a_cache_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model("llama")
    stock = model.model.forward

    def forward(input_ids: torch.Tensor, use_cache: bool = False, **_unused: Any) -> Any:
        return stock(input_ids=input_ids, use_cache=False)

    model.model.forward = forward
    assert_plain_with_one_warning(model, caplog)


def test_state_space_models_run_plainly(caplog: pytest.LogCaptureFixture) -> None:
    import transformers

    configuration = transformers.MambaConfig(
        vocab_size=512, hidden_size=16, num_hidden_layers=2, state_size=4
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(configuration).eval()
    assert_plain_with_one_warning(model, caplog)


def test_path_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        scorer_for(tiny_model("gpt2")).score(TEXTS)
    assert not [record for record in caplog.records if record.name.startswith("sentilora")]


def test_more_tokens_than_the_model_reads() -> None:
    with pytest.raises(UserError, match=r"257.*256.*--max-length"):
        scorer_for(tiny_model("gpt2"), Task(INSTRUCTION, ("a", "b"), max_length=257))
    longest = Task(INSTRUCTION, ("negative", "quite cheerful"), max_length=256)
    scorer = scorer_for(tiny_model("gpt2"), longest)
    assert np.isfinite(scorer.score(["word " * 1000]).log_probs).all()


def test_longrope_is_kept_to_the_window_where_rows_do_not_change_each_other() -> None:
    import transformers

    configuration = tiny_model("phi3").config.to_dict()
    configuration["rope_parameters"] = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [8.0] * 4,
    }
    configuration["original_max_position_embeddings"] = 64
    model = transformers.Phi3ForCausalLM(transformers.Phi3Config(**configuration)).eval()
    with pytest.raises(UserError, match=r"65.*64"):
        scorer_for(model, Task(INSTRUCTION, ("negative", "positive"), max_length=65))
    assert (
        scorer_for(model, Task(INSTRUCTION, ("negative", "positive"), max_length=64)).path
        != "PlainEngine"
    )

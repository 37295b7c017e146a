"""What training does to a model: that it learns, and that it is what the settings say."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.optimizers import create_loraplus_optimizer
from sklearn.metrics import f1_score

from sentilora.adapters import trainable_parameters
from sentilora.conformal import Conformal
from sentilora.devices import tokens_at_once
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.evaluation.calibration import fit_temperature
from sentilora.training import Plan, Reporter, Rows, StepReport, TrainSettings, loop
from sentilora.training.gradients import Gradients, rows_at_once
from sentilora.training.history import (
    ROWS_TO_CALIBRATE,
    Validation,
    is_better,
    out_of_patience,
    validate,
)
from sentilora.training.objective import label_weights, loss_function
from sentilora.training.randomness import training_mode
from sentilora.training.settings import Objective, Selection
from training import toy

EVEN = np.ones(2)  # both labels' weights


class Recorder(Reporter):
    """Everything that was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def on_start(self, plan: Plan) -> None:
        self.told.append(("start", plan))

    def on_step(self, report: StepReport) -> None:
        self.told.append(("step", report))

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        self.told.append(("evaluation", record["step"]))

    def on_checkpoint(self, path: Path) -> None:
        self.told.append(("checkpoint", path.name))

    def on_warning(self, message: str) -> None:
        self.told.append(("warning", message))

    def of(self, kind: str) -> list[Any]:
        return [value for what, value in self.told if what == kind]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> toy.Trained:
    return toy.train(tmp_path_factory.mktemp("run"))


def gradients(at_once: int, objective: str = "loss") -> tuple[float, dict[str, torch.Tensor]]:
    scorer = toy.scorer(dropout=0.0, dtype=torch.float64)
    training_mode(scorer.model)
    parameters = list(trainable_parameters(scorer.model).values())
    found = Gradients(
        getattr(scorer, objective), toy.rows(11, 3), parameters, shared=0, seed=0, most=at_once
    )
    loss = found.accumulate([4, 0, 9, 2, 10, 7, 1, 3], 1, toy.ignore)
    grads = {name: p.grad for name, p in trainable_parameters(scorer.model).items()}
    return loss, {name: grad for name, grad in grads.items() if grad is not None}


@pytest.mark.parametrize("objective", ["loss", "label_loss"])
@pytest.mark.parametrize("at_once", [1, 3, 5])
def test_accumulated_gradients_are_those_of_the_whole_batch(at_once: int, objective: str) -> None:
    whole_loss, whole = gradients(8, objective)
    loss, parts = gradients(at_once, objective)
    assert loss == pytest.approx(whole_loss, rel=1e-12)
    assert parts.keys() == whole.keys()
    assert max(float(grad.abs().max()) for grad in whole.values()) > 1e-3
    for name, grad in whole.items():
        torch.testing.assert_close(parts[name], grad, rtol=1e-9, atol=1e-12)


def test_a_step_is_adamw_on_the_clipped_mean_loss(tmp_path: Path) -> None:
    """Against a plain reference: autograd on the mean loss, in as many lines as it takes."""
    settings = TrainSettings(
        epochs=4, batch_size=22, micro_batch=5, learning_rate=0.01, clip=0.5, weight_decay=0.1
    )
    reference = toy.scorer(dropout=0.0, dtype=torch.float64)
    rows = toy.rows(22, 1)
    parameters = list(trainable_parameters(reference.model).values())
    optimizer = torch.optim.AdamW(parameters, weight_decay=0.1, fused=False, foreach=False)
    norms = []
    for rate in (0.01, 0.0075, 0.005, 0.0025):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        reference.loss(rows.prompts, rows.gold).mean().backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 0.5))
        optimizer.step()
    assert max(norms) > 0.5  # or the test says nothing about clipping
    expected = toy.weights(reference)
    scorer = toy.scorer(dropout=0.0, dtype=torch.float64)
    toy.train(tmp_path, settings, scorer=scorer)
    last = toy.newest_valid(tmp_path)
    assert last is not None
    for name, weight in last.tensors("weights").items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-7, atol=1e-9)


def test_lora_plus_is_pefts(tmp_path: Path) -> None:
    settings = TrainSettings(
        epochs=3, batch_size=22, learning_rate=0.01, lora_plus=8.0, clip=1e9, warmup=0, average=0
    )
    reference = toy.scorer(dropout=0.0, dtype=torch.float64)
    rows = toy.rows(22, 1)
    optimizer = create_loraplus_optimizer(
        reference.model, torch.optim.AdamW, lr=0.01, loraplus_lr_ratio=8.0, weight_decay=0.0
    )
    full = [group["lr"] for group in optimizer.param_groups]
    assert {0.01, 0.08} <= set(full)
    for share in (1, 2 / 3, 1 / 3):
        for group, rate in zip(optimizer.param_groups, full, strict=True):
            group["lr"] = rate * share
        optimizer.zero_grad()
        reference.loss(rows.prompts, rows.gold).mean().backward()
        optimizer.step()
    scorer = toy.scorer(dropout=0.0, dtype=torch.float64)
    toy.train(tmp_path, settings, scorer=scorer)
    last = toy.newest_valid(tmp_path)
    assert last is not None
    for name, weight in last.tensors("weights").items():
        torch.testing.assert_close(weight, toy.weights(reference)[name], rtol=1e-7, atol=1e-9)


def test_it_learns_an_easy_task(tmp_path: Path) -> None:
    """Six words and their labels, on a model of random weights."""
    words = Rows(
        PromptEncoder(toy.TASK, toy.tokenizer()).encode([*toy.BAD, *toy.GOOD]), [0, 0, 0, 1, 1, 1]
    )
    rows = Rows([*words.prompts] * 8, [*words.gold] * 8)
    settings = TrainSettings(epochs=8, batch_size=16, learning_rate=0.015)
    scorer = toy.scorer("llama", targets=("query", "key", "value", "output", "mlp"))
    trained = toy.train(
        tmp_path,
        settings,
        scorer=scorer,
        train=rows,
        validation=words,
        checkpoint_seconds=9e9,
    )
    before, after = trained.result.history[0], trained.result.history[-1]
    assert before["loss"] > 5
    assert after["loss"] < 0.5
    assert after["train_loss"] < 0.5
    assert after["accuracy"] == 1.0
    assert after["label_mass"] > 0.9
    best = next(e for e in trained.result.history if e["step"] == trained.result.best_step)
    # so dropout was off when it was evaluated
    now = validate(scorer, words, "vocabulary", EVEN).figures
    assert now == {name: best[name] for name in now}


def test_two_runs_with_one_seed_are_equal_bit_for_bit(trained: toy.Trained, tmp_path: Path) -> None:
    assert toy.train(tmp_path).same_as(trained)


def test_another_seed_gives_another_run(trained: toy.Trained, tmp_path: Path) -> None:
    assert not toy.train(tmp_path, replace(toy.SETTINGS, seed=8)).same_as(trained)


def test_dropout_is_drawn_from_the_seed_alone(tmp_path: Path) -> None:
    """With one batch there is no order, so what differs is dropout."""
    settings = TrainSettings(epochs=2, batch_size=22, learning_rate=0.01)
    runs = []
    for seed, dropout in ((0, 0.3), (1, 0.3), (0, 0.0), (1, 0.0)):
        scorer = toy.scorer(dropout=dropout)
        chosen = replace(settings, seed=seed)
        folder = tmp_path / f"{seed}-{dropout}"
        runs.append(toy.train(folder, chosen, scorer=scorer).result.history[-1]["loss"])
    assert runs[0] != runs[1]
    assert runs[2] == pytest.approx(runs[3], rel=1e-5)


@pytest.mark.parametrize("dora", [False, True])
def test_only_the_adapters_dropout_is_on(dora: bool) -> None:
    scorer = toy.scorer(dropout=0.5, dora=dora)
    training_mode(scorer.model)
    on = {
        name
        for name, module in scorer.model.named_modules()
        if isinstance(module, torch.nn.Dropout) and module.training
    }
    assert on == {
        name for name, _ in scorer.model.named_modules() if name.endswith("dropout.default")
    }
    with torch.no_grad():
        for name, parameter in trainable_parameters(scorer.model).items():
            if "lora_B" in name:
                parameter.fill_(0.1)
        rows = toy.rows(4, 0)
        first, second = (scorer.loss(rows.prompts, rows.gold) for _ in range(2))
        scorer.model.eval()
        third, fourth = (scorer.loss(rows.prompts, rows.gold) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(third, fourth)


def test_the_first_evaluation_is_the_untuned_model(trained: toy.Trained) -> None:
    untuned = toy.scorer()
    with untuned.model.disable_adapter():
        expected = validate(untuned, toy.rows(12, 2), "vocabulary", EVEN).figures
    first = trained.result.history[0]
    assert first == {
        "step": 0,
        "epoch": 0.0,
        "learning_rate": None,
        "train_loss": None,
        "best": False,
        **expected,
    }


@pytest.mark.parametrize("objective", ["vocabulary", "labels"])
def test_validation_measures_what_is_trained(objective: Objective) -> None:
    scorer, rows = toy.scorer(), toy.rows(12, 2)
    entry = validate(scorer, rows, objective, EVEN).figures
    loss = scorer.loss if objective == "vocabulary" else scorer.label_loss
    expected = float(loss(rows.prompts, rows.gold).mean().detach())
    assert entry["loss"] == pytest.approx(expected, abs=1e-5)
    predicted = scorer.score_prompts(rows.prompts).predicted
    assert entry["accuracy"] == pytest.approx(np.mean(predicted == np.asarray(rows.gold)))
    assert entry["macro_f1"] == pytest.approx(f1_score(rows.gold, predicted, average="macro"))


@pytest.mark.parametrize("objective", ["vocabulary", "labels"])
def test_balanced_labels_have_equal_parts_in_the_loss(objective: Objective) -> None:
    scorer, rows = toy.scorer(), toy.rows(20, 2)
    gold = np.array([0] * 15 + [1] * 5)
    settings = TrainSettings(objective=objective, class_weight="balanced")
    weights = label_weights(settings, gold, 2)
    losses = loss_function(scorer, settings, weights)(rows.prompts, gold).detach().numpy()
    plain = loss_function(scorer, replace(settings, class_weight=None), EVEN)
    each = plain(rows.prompts, gold).detach().numpy()
    by_label = [each[gold == label].mean() for label in (0, 1)]
    assert losses.mean() == pytest.approx(np.mean(by_label), rel=1e-5)
    held = validate(scorer, Rows(rows.prompts, gold.tolist()), objective, weights).figures
    assert held["loss"] == pytest.approx(losses.mean(), abs=1e-5)


def test_an_evaluation_fits_a_temperature_where_rows_suffice() -> None:
    scorer, rows, shares = toy.scorer(), toy.rows(ROWS_TO_CALIBRATE, 2), (0.8, 0.2)
    found = scorer.probabilities(rows.prompts)
    chosen = found.argmax(axis=1)  # right but for every third, so that no temperature is extreme
    gold = [int(label) ^ (row % 3 == 0) for row, label in enumerate(chosen)]
    rows = Rows(rows.prompts, gold)
    plain = validate(scorer, rows, "vocabulary", EVEN).figures
    assert plain["temperature"] == pytest.approx(fit_temperature(found, rows.gold), rel=1e-4)
    shared = validate(scorer, rows, "vocabulary", EVEN, shares).figures["temperature"]
    assert shared == pytest.approx(fit_temperature(found, rows.gold, shares), rel=1e-4)
    assert len({plain["temperature"], shared, 1.0}) == 3
    few = Rows(rows.prompts[:-1], rows.gold[:-1])
    assert validate(scorer, few, "vocabulary", EVEN).figures["temperature"] == 1.0


@pytest.mark.parametrize("select", ["loss", "last"])
def test_the_best_evaluations_temperature_is_the_results(select: Selection, tmp_path: Path) -> None:
    settings = replace(toy.SETTINGS, select=select, class_weight="balanced", learning_rate=0.05)
    result = toy.train(tmp_path, settings, validation=toy.rows(ROWS_TO_CALIBRATE, 2)).result
    best = next(entry for entry in result.history if entry["step"] == result.best_step)
    assert result.correction.temperature == best["temperature"] != 1.0
    assert result.correction.label_shares == pytest.approx((0.5, 0.5), abs=0.2)


def test_label_weights_of_a_label_without_rows() -> None:
    weights = label_weights(TrainSettings(class_weight="balanced"), [0, 0, 0, 2], 3)
    assert weights[0] * 3 == weights[2]
    assert np.isfinite(weights).all()
    assert (weights[0] * 3 + weights[2]) / 4 == 1
    assert (label_weights(TrainSettings(), [0, 0, 0, 2], 3) == 1).all()


def test_evaluations_do_not_disturb_training(tmp_path: Path) -> None:
    """A run that is evaluated often ends with the weights of one that is evaluated once."""
    settings = replace(toy.SETTINGS, epochs=1, eval_every=None, average=0.0)
    once = toy.train(tmp_path / "once", settings)
    often = toy.train(tmp_path / "often", replace(settings, eval_every=1))
    last = toy.newest_valid(tmp_path / "often")
    assert last is not None
    for name, weight in last.tensors("weights").items():
        assert torch.equal(weight, once.weights[name])
    assert often.result.history[-1]["loss"] == once.result.history[-1]["loss"]


def test_training_loss_is_the_mean_since_the_last_evaluation(tmp_path: Path) -> None:
    recorder = Recorder()
    result = toy.train(tmp_path, reporter=recorder).result
    steps = recorder.of("step")
    by_step = {report.step: report.loss for report in steps}
    sizes = np.diff([0, *(report.rows_done for report in steps)])
    assert sorted(sizes) == [6, 6, 6, 8, 8, 8, 8, 8, 8]  # each epoch's 22 rows in three batches
    for before, entry in zip(result.history, result.history[1:], strict=False):
        between = range(before["step"] + 1, entry["step"] + 1)
        total = sum(by_step[step] * sizes[step - 1] for step in between)
        mean = total / sum(sizes[step - 1] for step in between)
        assert entry["train_loss"] == pytest.approx(mean)


def test_what_is_told(tmp_path: Path) -> None:
    recorder = Recorder()
    toy.train(tmp_path, replace(toy.SETTINGS, epochs=1), reporter=recorder, checkpoint_seconds=9e9)
    plan = recorder.of("start")[0]
    assert (plan.rows, plan.validation_rows, plan.steps, plan.done) == (22, 12, 3, 0)
    assert plan.trained_parameters == sum(w.numel() for w in toy.weights(toy.scorer()).values())
    told = [(kind, value.step if kind == "step" else value) for kind, value in recorder.told[1:]]
    assert told == [
        ("evaluation", 0),
        ("checkpoint", "step-000000-evaluated"),
        ("step", 1),
        ("step", 2),
        ("evaluation", 2),
        ("checkpoint", "step-000002-evaluated"),
        ("step", 3),
        ("evaluation", 3),
        ("checkpoint", "step-000003-evaluated"),
    ]
    assert recorder.of("step")[-1].rows_per_second > 0


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float], f1: list[float]) -> None:
    """Lets the evaluations find what is given, one after the other; the conformal score of the
    evaluation after step n is n."""
    found = iter(
        Validation({"loss": a, "macro_f1": b, "temperature": 1.0}, Conformal(1, (float(step),)))
        for step, (a, b) in enumerate(zip(losses, f1, strict=True))
    )
    monkeypatch.setattr(loop, "validate", lambda *_: next(found))


LOSSES = [0.1, 0.7, 0.5, 0.6, 0.5, 0.8, 0.9, 0.9, 0.9, 0.9]
F1 = [0.9, 0.2, 0.3, 0.6, 0.5, 0.6, 0.4, 0.4, 0.4, 0.4]


@pytest.mark.parametrize(("select", "best"), [("loss", 2), ("macro_f1", 3), ("last", 9)])
def test_the_model_is_left_with_the_best_weights(
    select: Selection, best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, seen = toy.scorer(), {}

    class Watch(Reporter):
        def on_evaluation(self, record: Mapping[str, Any]) -> None:
            seen[record["step"]] = toy.weights(scorer)

    scripted(monkeypatch, LOSSES, F1)
    settings = replace(toy.SETTINGS, eval_every=1, select=select, average=0.0)
    trained = toy.train(tmp_path, settings, scorer=scorer, reporter=Watch())
    assert trained.result.best_step == best
    assert trained.result.steps == 9
    assert trained.result.conformal == Conformal(1, (float(best),))
    for name, weight in trained.weights.items():
        assert torch.equal(weight, seen[best][name])
    assert any(not torch.equal(weight, seen[1][name]) for name, weight in trained.weights.items())
    assert not trained.scorer.model.training


@pytest.mark.parametrize(("select", "best"), [("loss", 2), ("macro_f1", 3)])
def test_patience_ends_a_run(
    select: Selection, best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, LOSSES, F1)
    settings = replace(toy.SETTINGS, eval_every=1, select=select, patience=3)
    result = toy.train(tmp_path, settings, checkpoint_seconds=9e9).result
    assert result.stopped_early
    assert (result.best_step, result.steps) == (best, best + 3)


def test_a_run_that_ends_as_planned_was_not_stopped_early(trained: toy.Trained) -> None:
    assert not trained.result.stopped_early
    assert trained.result.steps == 9
    assert [entry["step"] for entry in trained.result.history] == [0, 2, 4, 6, 8, 9]


def test_the_untuned_model_is_never_the_best() -> None:
    zero = {"step": 0, "loss": 0.1, "macro_f1": 1.0, "best": False}
    first = {"step": 5, "loss": 0.9, "macro_f1": 0.5, "best": True}
    assert not is_better(zero, [], "loss")
    assert is_better(first, [zero], "loss")
    assert not is_better({**first, "step": 6}, [zero, first], "loss")  # equal: the earlier stays
    assert is_better({**first, "step": 6, "macro_f1": 0.6}, [zero, first], "macro_f1")
    assert not out_of_patience([zero], 1)


def test_a_diverging_loss_stops_the_run_before_the_weights_are_spoilt(tmp_path: Path) -> None:
    scorer = toy.scorer()
    plain = scorer.loss
    calls = []

    def breaking(prompts: Any, gold: Any) -> torch.Tensor:
        calls.append(1)
        loss = plain(prompts, gold)
        return loss * float("nan") if len(calls) == 8 else loss  # in step 3, its second part

    scorer.loss = breaking  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"step 3 the loss .*lower --learning-rate"):
        toy.train(tmp_path, scorer=scorer)
    assert all(bool(weight.isfinite().all()) for weight in toy.weights(scorer).values())
    last = toy.newest_valid(tmp_path)
    assert last is not None
    assert last.state["step"] == 2


def test_a_base_that_lets_no_gradient_through_stops_the_run_at_once(tmp_path: Path) -> None:
    scorer = toy.scorer()
    for parameter in trainable_parameters(scorer.model).values():
        parameter.register_hook(torch.zeros_like)
    with pytest.raises(UserError, match="No gradient reaches the adapter"):
        toy.train(tmp_path, scorer=scorer)
    last = toy.newest_valid(tmp_path)
    assert last is not None
    assert last.state["step"] == 0


def test_an_infinite_gradient_stops_the_run_too(tmp_path: Path) -> None:
    scorer = toy.scorer()
    next(iter(trainable_parameters(scorer.model).values())).register_hook(lambda g: g * math.inf)
    with pytest.raises(UserError, match=r"the gradient is no longer"):
        toy.train(tmp_path, scorer=scorer)


@pytest.mark.parametrize("empty", ["train", "validation"])
def test_no_rows(empty: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There are no"):
        toy.train(tmp_path, **{empty: Rows([], [])})


@pytest.mark.parametrize("validated", [True, False])
def test_the_mean_of_the_last_steps_weights_is_kept(validated: bool, tmp_path: Path) -> None:
    scorer, seen = toy.scorer(), []

    class Watch(Reporter):
        def on_step(self, report: StepReport) -> None:
            seen.append(toy.weights(scorer))

    settings = replace(toy.SETTINGS, average=0.5, select="last")
    rows = toy.rows(12, 2) if validated else Rows([], [])
    trained = toy.train(tmp_path, settings, scorer=scorer, reporter=Watch(), validation=rows)
    assert len(seen) == 9
    for name, weight in trained.weights.items():
        mean = torch.stack([weights[name] for weights in seen[4:]]).mean(dim=0)  # steps 5 to 9
        torch.testing.assert_close(weight, mean, rtol=1e-6, atol=1e-8)
        assert not torch.equal(weight, seen[-1][name]) or not weight.any()


def test_the_last_weights_need_no_validation_rows(tmp_path: Path) -> None:
    settings = replace(toy.SETTINGS, select="last")
    validated = toy.train(tmp_path / "with", settings)
    alone = toy.train(tmp_path / "without", settings, validation=Rows([], []))
    assert alone.result.history == []
    assert (alone.result.best_step, alone.result.steps) == (9, 9)
    for name, weight in validated.weights.items():
        assert torch.equal(weight, alone.weights[name])


# Memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "most", "expected"),
    [
        ([30] * 32, 32, 32),  # 960 tokens
        ([33] * 32, 32, 16),  # 1,056: two even halves
        ([10] * 31 + [70], 32, 11),  # padded to the longest: 2,240 tokens, in three
        ([30] * 32, 5, 5),
        ([3000] * 4, 4, 1),
        ([1], 1, 1),
    ],
)
def test_rows_at_once(lengths: list[int], most: int, expected: int) -> None:
    assert rows_at_once(lengths, most, tokens_at_once("cpu")) == expected
    assert rows_at_once([30] * 128, 128, tokens_at_once("cuda")) == 128


@pytest.mark.parametrize("count", [1, 5, 9, 32])
@pytest.mark.parametrize("tokens", [50, 100, 250, 999, 4000])
def test_a_pass_keeps_to_its_tokens(count: int, tokens: int) -> None:
    """Padding counted, but for a row alone; and no part is far smaller than another."""
    rows = rows_at_once([100] * count, count, tokens)
    assert rows == 1 or rows * 100 <= tokens
    assert -(-count // rows) == -(-count // max(1, min(count, tokens // 100)))


class Tight:
    """A scorer whose device holds a few rows at once from some step on."""

    def __init__(self, scorer: Any, rows: int, calls: int) -> None:
        self.stock, self.rows, self.calls = scorer.loss, rows, calls

    def __call__(self, prompts: Any, gold: Any) -> torch.Tensor:
        self.calls -= 1
        if self.calls < 0 and len(prompts) > self.rows:
            raise torch.OutOfMemoryError("no more")
        return self.stock(prompts, gold)


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_batch(tmp_path: Path) -> None:
    """The result is that of the same run in micro-batches, but for rounding."""
    settings = TrainSettings(epochs=1, batch_size=8, learning_rate=0.01)
    roomy = toy.scorer(dropout=0.0, dtype=torch.float64)
    toy.train(tmp_path / "roomy", settings, scorer=roomy)

    tight, recorder = toy.scorer(dropout=0.0, dtype=torch.float64), Recorder()
    tight.loss = Tight(tight, rows=2, calls=1)  # type: ignore[method-assign]
    toy.train(tmp_path / "tight", settings, scorer=tight, reporter=recorder)
    for name, weight in toy.weights(tight).items():
        torch.testing.assert_close(weight, toy.weights(roomy)[name], rtol=1e-7, atol=1e-9)
    halvings = [
        tuple(map(int, re.findall(r"(\d+)(?: rows)? at once", warning)))
        for warning in recorder.of("warning")
    ]
    assert len(halvings) == 2  # a batch has 8 or 6 rows
    assert all(after == (before + 1) // 2 for before, after in halvings)
    assert halvings[-1][1] == 2
    assert "batches of 8 as before" in recorder.of("warning")[-1]
    last = toy.newest_valid(tmp_path / "tight")
    assert last is not None
    assert last.environment["micro_batch"] == 2
    assert last.settings.micro_batch is None

    resumed = Recorder()
    again = toy.scorer(dropout=0.0, dtype=torch.float64)
    toy.train(tmp_path / "tight", settings, scorer=again, reporter=resumed, resume_from=last)
    assert resumed.of("start")[0].micro_batch == 2


def test_one_row_that_does_not_fit_ends_the_run(tmp_path: Path) -> None:
    scorer = toy.scorer()
    scorer.loss = Tight(scorer, rows=0, calls=0)  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"one row.*--max-length"):
        toy.train(tmp_path, scorer=scorer)

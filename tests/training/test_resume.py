"""Going on after an interruption: the weights are those of a run that was never interrupted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sentilora.errors import UserError
from sentilora.training import Interrupted, Reporter, Rows, StepReport, TrainSettings
from sentilora.training.checkpoint import newest_valid
from sentilora.training.interrupts import without_interrupts
from training import toy


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> toy.Trained:
    """The run that nothing interrupts."""
    return toy.train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    ("event", "step"),
    [("step", 1), ("evaluating", 4), ("evaluation", 4), ("step", 5), ("evaluation", 9)],
)
def test_a_killed_run_ends_as_if_it_had_not_been(
    event: str, step: int, whole: toy.Trained, tmp_path: Path
) -> None:
    assert toy.run_child(toy.train_and_die, tmp_path, event, step) == -signal.SIGKILL
    assert toy.resume(tmp_path).same_as(whole)


def train_and_die_writing(run_dir: Path, sync: int) -> None:
    """Dies in the `sync`th call of fsync, of which a checkpoint makes eight."""
    plain, calls = os.fsync, []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == sync:
            toy.die()
        plain(handle)

    os.fsync = fsync
    toy.train(run_dir)


@pytest.mark.parametrize("sync", [19, 24, 25])
def test_killed_in_the_middle_of_writing_a_checkpoint(
    sync: int, whole: toy.Trained, tmp_path: Path
) -> None:
    assert toy.run_child(train_and_die_writing, tmp_path, sync) == -signal.SIGKILL
    assert any(path.name.startswith(".staging") for path in tmp_path.rglob("*")) == (sync < 25)
    assert toy.resume(tmp_path).same_as(whole)
    assert not any(path.name.startswith(".staging") for path in tmp_path.rglob("*"))


def test_killed_again_and_again(whole: toy.Trained, tmp_path: Path) -> None:
    assert toy.run_child(toy.train_and_die, tmp_path, "step", 2) == -signal.SIGKILL
    for step in (3, 7):
        assert toy.run_child(resume_and_die, tmp_path, step) == -signal.SIGKILL
    assert toy.resume(tmp_path).same_as(whole)


def resume_and_die(run_dir: Path, step: int) -> None:
    toy.resume(run_dir, reporter=toy.At("step", step, toy.die))


def test_with_the_newest_checkpoint_damaged(whole: toy.Trained, tmp_path: Path) -> None:
    assert toy.run_child(toy.train_and_die, tmp_path, "step", 6) == -signal.SIGKILL
    newest = newest_valid(tmp_path)
    assert newest is not None
    moments = newest.path / "moments.safetensors"
    moments.write_bytes(moments.read_bytes()[:-1])
    assert toy.resume(tmp_path).same_as(whole)


def test_a_run_that_had_ended(whole: toy.Trained, tmp_path: Path) -> None:
    """Killed after its last checkpoint, before its result was saved."""
    toy.train(tmp_path)
    assert toy.resume(tmp_path).same_as(whole)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("objective", ["vocabulary", "labels"])
def test_other_models_objectives_and_kinds(
    architecture: str, objective: str, tmp_path: Path
) -> None:
    settings = replace(toy.SETTINGS, objective=objective, micro_batch=None, lora_plus=4.0)
    kind = {"dora" if objective == "labels" else "rslora": True}
    make: Callable[[], Any] = lambda: toy.scorer(architecture, **kind)  # noqa: E731
    expected = toy.train(tmp_path / "whole", settings, scorer=make())
    with pytest.raises(Interrupted):
        toy.train(tmp_path / "cut", settings, scorer=make(), reporter=toy.At("step", 5, interrupt))
    assert toy.resume(tmp_path / "cut", scorer=make()).same_as(expected)


def test_without_validation_rows(tmp_path: Path) -> None:
    settings = replace(toy.SETTINGS, select="last")
    nothing = Rows([], [])
    whole = toy.train(tmp_path / "whole", settings, validation=nothing)
    with pytest.raises(Interrupted):
        toy.train(
            tmp_path / "cut", settings, validation=nothing, reporter=toy.At("step", 5, interrupt)
        )
    assert toy.resume(tmp_path / "cut", validation=nothing).same_as(whole)


def test_patience_is_remembered(tmp_path: Path) -> None:
    settings = replace(toy.SETTINGS, epochs=50, learning_rate=0.3, eval_every=1, patience=4)
    expected = toy.train(tmp_path / "whole", settings)
    assert expected.result.stopped_early
    cut = toy.At("step", expected.result.steps - 2, interrupt)
    with pytest.raises(Interrupted):
        toy.train(tmp_path / "cut", settings, reporter=cut)
    resumed = toy.resume(tmp_path / "cut")
    assert resumed.same_as(expected)
    assert resumed.result.steps == expected.result.steps


def test_seconds_add_up(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        toy.train(tmp_path, reporter=toy.At("step", 5, interrupt))
    before = newest_valid(tmp_path)
    assert before is not None
    assert toy.resume(tmp_path).result.seconds > before.state["seconds"] > 0


# Ctrl-C ---------------------------------------------------------------------------------------


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("event", "step"), [("evaluating", 0), ("evaluating", 4), ("step", 5)])
def test_ctrl_c_writes_a_checkpoint(
    event: str, step: int, whole: toy.Trained, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted) as caught:
        toy.train(tmp_path, reporter=toy.At(event, step, interrupt), checkpoint_seconds=9e9)
    checkpoint = newest_valid(tmp_path)
    assert checkpoint is not None
    assert caught.value.checkpoint == checkpoint.path
    assert (caught.value.step, caught.value.steps) == (step, 9)
    assert checkpoint.state["step"] == step
    assert toy.resume(tmp_path).same_as(whole)


def test_ctrl_c_amid_the_optimiser_step_lets_it_finish(
    whole: toy.Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = torch.optim.AdamW.step, []

    def interrupted(self: torch.optim.AdamW, closure: Any = None) -> Any:
        calls.append(1)
        if len(calls) == 4:
            interrupt()
        return plain(self, closure)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", interrupted)
        with pytest.raises(Interrupted) as caught:
            toy.train(tmp_path, checkpoint_seconds=9e9)
    assert caught.value.step == 4
    assert toy.resume(tmp_path).same_as(whole)


@pytest.mark.parametrize("sync", [1, 5])
def test_a_second_ctrl_c_while_the_checkpoint_is_written(
    sync: int, whole: toy.Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before stands. The first comes when there are two checkpoints, each of 7 syncs."""
    plain, calls = os.fsync, []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 1 + 14 + sync:
            interrupt()
        plain(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(Interrupted) as caught:
            toy.train(tmp_path, reporter=toy.At("step", 3, interrupt), checkpoint_seconds=9e9)
    checkpoint = newest_valid(tmp_path)
    assert checkpoint is not None
    assert caught.value.checkpoint == checkpoint.path
    assert checkpoint.state["step"] == 2
    assert toy.resume(tmp_path).same_as(whole)


class Announce(Reporter):
    """Tells the parent through a file that a step was done, and leaves it time to act."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_step(self, report: StepReport) -> None:
        if report.step == 4:
            self.file.touch()
        time.sleep(0.05)


def train_until_interrupted(run_dir: Path) -> None:
    try:
        toy.train(run_dir, reporter=Announce(run_dir / "begun"))
    except Interrupted:
        raise SystemExit(130) from None


def test_ctrl_c_from_outside(whole: toy.Trained, tmp_path: Path) -> None:
    child = toy.start_child(train_until_interrupted, tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGINT)
    child.join(60)
    assert child.exitcode == 130
    assert toy.resume(tmp_path).same_as(whole)


def test_interrupts_are_held_back_not_lost() -> None:
    done = []

    def block() -> None:
        with without_interrupts():
            interrupt()
            done.append("the whole block")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_user_s_own_handler_is_the_one_told() -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: told.append(number))
    try:
        with without_interrupts():
            interrupt()
            assert not told
        assert told == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


# What must be the same ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was interrupted, and has a fingerprint."""
    run_dir = tmp_path_factory.mktemp("cut")
    with pytest.raises(Interrupted):
        toy.train(
            run_dir,
            reporter=toy.At("step", 1, interrupt),
            fingerprint={"base": "1", "adapter": "2"},
        )
    return run_dir


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"train": toy.rows(22, 5)}, "rows .*: train"),
        ({"validation": toy.rows(11, 2)}, "rows .*: validation"),
        ({"fingerprint": {"base": "3", "adapter": "2"}}, "weights .*: base"),
        ({"fingerprint": {"base": "1"}}, "weights .*: adapter"),
        ({"scorer": toy.scorer(dtype=torch.float64)}, "dtype was float32 and is float64"),
        ({"settings": TrainSettings(seed=9)}, "settings .*: .*seed"),
    ],
)
def test_other_conditions_are_refused(cut: Path, changed: dict[str, Any], named: str) -> None:
    checkpoint = newest_valid(cut)
    assert checkpoint is not None
    given = {
        "settings": checkpoint.settings,
        "fingerprint": {"base": "1", "adapter": "2"},
        **changed,
    }
    with pytest.raises(UserError, match=named):
        toy.train(cut, resume_from=checkpoint, **given)


@pytest.mark.parametrize(
    ("name", "other", "remedy"),
    [
        ("threads", 64, "OMP_NUM_THREADS=64"),
        ("torch", "1.0", "torch==1.0"),
        ("peft", "0.1", "peft==0.1"),
        ("processor", "abacus", "Resume it where it was started"),
        ("path", False, "start a new run"),
    ],
)
def test_another_environment_is_refused(cut: Path, name: str, other: object, remedy: str) -> None:
    checkpoint = newest_valid(cut)
    assert checkpoint is not None
    checkpoint.state["environment"][name] = other
    with pytest.raises(UserError, match=f"{name} was {other} and is .*{remedy}"):
        toy.train(
            cut,
            checkpoint.settings,
            resume_from=checkpoint,
            fingerprint={"base": "1", "adapter": "2"},
        )

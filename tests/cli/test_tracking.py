"""`sentilora train --track`: figures go to a tracker, which can neither hurt nor outlive a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from command import Outcome, run
from samples import TRAINING, Work

STEPS = 8  # of a run with TRAINING
FIGURES = {"train/loss", "train/learning_rate", "train/gradient_norm"}
Act = Callable[[int], None]


@pytest.fixture
def train(tiny_base: Path, data: Path) -> Callable[[str], Outcome]:
    """The run of `finished`, tracked, in the folder `run`."""

    def start(tracker: str, *options: object) -> Outcome:
        given = ("--model", tiny_base, "--data", data, *TRAINING, *options)
        return run("train", *given, "--track", tracker, "-o", "run")

    return start


class Fake:
    """A tracker's library that remembers; `act` happens when a step's figures are logged."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.settings: list[Mapping[str, Any]] = []
        self.logged: list[tuple[int, Mapping[str, float]]] = []
        self.ends: list[object] = []
        self.act: Act = lambda step: None

    def log(self, figures: Mapping[str, float], step: int | None = None) -> None:
        assert all(isinstance(value, float | int) for value in figures.values())
        step = int(figures["step"]) if step is None else step
        if figures.keys() >= FIGURES:
            self.act(step)
        self.logged.append((step, figures))

    def steps(self, prefix: str) -> list[int]:
        return [step for step, figures in self.logged if any(f.startswith(prefix) for f in figures)]


def wandb(fake: Fake) -> dict[str, Any]:
    def init(**options: Any) -> SimpleNamespace:
        fake.started.append(options)
        fake.settings.append(options["config"])
        return SimpleNamespace(
            url=None,
            log=fake.log,
            define_metric=lambda name, step_metric: None,
            finish=lambda exit_code: fake.ends.append(exit_code),
        )

    return {"init": init}


def trackio(fake: Fake) -> dict[str, Any]:
    def init(**options: Any) -> None:
        fake.started.append(options)
        fake.settings.append(options["config"])

    return {"init": init, "log": fake.log, "finish": lambda: fake.ends.append("end")}


def mlflow(fake: Fake) -> dict[str, Any]:
    def start_run(**options: Any) -> SimpleNamespace:
        fake.started.append(options)
        return SimpleNamespace(info=SimpleNamespace(run_id="abc"))

    return {
        "set_experiment": lambda name: None,
        "start_run": start_run,
        "log_params": fake.settings.append,
        "get_tracking_uri": lambda: "file:///somewhere",
        "log_metrics": fake.log,
        "end_run": lambda status: fake.ends.append(status),
    }


FAKES = {"wandb": wandb, "trackio": trackio, "mlflow": mlflow}
ENDS = {  # what they are told at the end, and of Ctrl-C
    "wandb": (0, 130),
    "trackio": ("end", "end"),
    "mlflow": ("FINISHED", "KILLED"),
}


@pytest.fixture(params=FAKES)
def tracker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Fake]:
    """A library's name, and what stands for it."""
    fake, module = Fake(), ModuleType(request.param)
    vars(module).update(FAKES[request.param](fake))
    monkeypatch.setitem(sys.modules, request.param, module)
    return request.param, fake


def history(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "sentilora.json").read_text())["metrics"]["history"]


def test_all_is_logged_once(train: Callable[..., Outcome], tracker: tuple[str, Fake]) -> None:
    name, fake = tracker
    outcome = train(name)
    assert outcome.code == 0, outcome.err
    assert f"Tracked  by {name}: " in outcome.err
    assert fake.steps("train/") == list(range(1, STEPS + 1))
    assert fake.steps("validation/") == [0, 4, 8]
    assert fake.steps("final/") == [STEPS]
    assert fake.ends == [ENDS[name][0]]
    (settings,) = fake.settings
    assert "smollm2" not in str(settings)
    for part in ("epochs", "rank", "template", "Classify the sentiment"):
        assert part in str(settings)
    validated = [figures for _, figures in fake.logged if "validation/loss" in figures]
    assert [one["validation/loss"] for one in validated] == [
        e["loss"] for e in history(Path("run"))
    ]
    (final,) = (figures for _, figures in fake.logged if "final/seconds" in figures)
    told = json.loads(Path("run/sentilora.json").read_text())["metrics"]["evaluation"]["results"]
    assert final["final/tuned/accuracy"] == told["tuned"]["accuracy"]
    assert final["final/majority_class/accuracy"] == told["majority_class"]["accuracy"]
    assert "final/majority_class/nll" not in final  # of which there is none


def test_a_resumed_run_goes_on_in_the_trackers_run(
    train: Callable[..., Outcome], tracker: tuple[str, Fake]
) -> None:
    name, fake = tracker

    def ctrl_c(step: int) -> None:
        if step == 6:
            raise KeyboardInterrupt

    fake.act = ctrl_c
    stopped = train(name)
    assert stopped.code == 130, stopped.err
    assert stopped.err.splitlines()[-1] == "  sentilora train --resume run"
    assert fake.ends == [ENDS[name][1]]
    fake.act = lambda step: None
    outcome = run("train", "--resume", "run", "--track", name)
    assert outcome.code == 0, outcome.err
    first, again = fake.started
    if name == "mlflow":
        assert again == {"run_id": "abc"}
        assert len(fake.settings) == 1
    else:
        same = {"wandb": "id", "trackio": "name"}[name]
        assert again[same] == first[same]
        assert (first["resume"], again["resume"]) == ("allow", "allow")
    assert fake.steps("train/") == [1, 2, 3, 4, 5, 7, 8]  # Ctrl-C came when the sixth was done
    assert fake.steps("final/") == [STEPS]


def test_a_tracker_that_fails_is_said_once_and_changes_nothing(
    train: Callable[..., Outcome], tracker: tuple[str, Fake], finished: Work
) -> None:
    name, fake = tracker

    def fail(step: int) -> None:
        if step >= 2:
            raise ConnectionError("the server\nhas gone")

    fake.act = fail
    outcome = train(name)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("has failed") == 1
    said = f"The tracker {name} has failed (the server). The run goes on without."
    assert said in outcome.err
    assert fake.steps("") == [0, 1]
    weights = "adapter_model.safetensors"
    untracked = finished.folder / "runs/base-reviews" / weights
    assert Path("run", weights).read_bytes() == untracked.read_bytes()


def test_a_tracker_that_cannot_start_or_end_is_said(
    train: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake()
    module = ModuleType("trackio")
    vars(module).update(trackio(fake), finish=lambda: 1 / 0)
    monkeypatch.setitem(sys.modules, "trackio", module)
    outcome = train("trackio")
    assert outcome.code == 0
    assert "The tracker trackio has failed (division by zero)" in outcome.err
    monkeypatch.setattr(module, "init", lambda **options: 1 / 0)
    outcome = train("trackio", "-o", "other")
    assert "already holds another run" in outcome.err
    Path("run").rename("first")
    outcome = train("trackio")
    assert outcome.code == 0
    assert "The tracker trackio has failed (division by zero)" in outcome.err
    assert fake.steps("final/") == [STEPS]  # the first run's


@pytest.mark.parametrize("name", ["tensorboard", *FAKES])
def test_a_library_that_is_not_there_is_named_with_its_extra(
    name: str, train: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    assert f"pip install 'sentilora[{name}]'." in train(name).error
    assert not Path("run").exists()


def test_an_unknown_tracker(train: Callable[..., Outcome]) -> None:
    assert "--track wand is none of tensorboard, mlflow, wandb, trackio." in train("wand").error


def test_a_run_that_was_not_tracked_keeps_to_it(unfinished: Path) -> None:
    said = run("train", "--resume", unfinished, "--track", "tensorboard").error
    assert "--track tensorboard conflicts with the run" in said


# TensorBoard itself.


def events(folder: Path) -> Any:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(found: Any, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(name)]


def test_tensorboard_has_every_step_of_a_run_that_was_stopped(
    train: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    plain = SummaryWriter.add_scalar

    def stopping(writer: Any, name: str, value: float, step: int) -> None:
        plain(writer, name, value, step)
        if (name, step) == ("train/gradient_norm", 6):
            raise KeyboardInterrupt

    monkeypatch.setattr(SummaryWriter, "add_scalar", stopping)
    assert train("tensorboard").code == 130
    assert [step for step, _ in scalars(events(Path("run/tracking")), "train/loss")][-1] == 6
    monkeypatch.setattr(SummaryWriter, "add_scalar", plain)
    outcome = run("train", "--resume", "run")
    assert outcome.code == 0, outcome.err
    found = events(Path("run/tracking"))
    for name in FIGURES:
        assert [step for step, _ in scalars(found, name)] == list(range(1, STEPS + 1))
    assert scalars(found, "validation/loss") == [
        (entry["step"], pytest.approx(entry["loss"])) for entry in history(Path("run"))
    ]
    assert len(scalars(found, "final/tuned/accuracy")) == 1
    (text,) = found.Tensors("settings/text_summary")
    assert b'"epochs": 2' in text.tensor_proto.string_val[0]


def test_what_was_done_after_the_last_checkpoint_is_not_shown_twice(
    train: Callable[..., Outcome],
) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from sentilora.tracking import Tracking
    from sentilora.training import Plan, StepReport

    def steps(first: int, last: int, scale: float) -> None:
        plan = Plan(1, 1, 1, 9, first - 1, 0, 1, 1, 1)
        Path("run").mkdir(exist_ok=True)
        with Tracking("tensorboard", Path("run"), {}, print, pytest.fail) as tracked:
            tracked.on_start(plan)
            for step in range(first, last + 1):
                tracked.on_step(StepReport(step, 9, step * scale, 1e-3, 1.0, 1, 1.0))

    steps(1, 6, 1.0)
    steps(4, 8, 10.0)  # a kill threw the state back to step 3
    found = scalars(events(Path("run/tracking")), "train/loss")
    assert found == [(n, n) for n in (1, 2, 3)] + [(n, 10 * n) for n in (4, 5, 6, 7, 8)]


def test_a_run_that_fails_at_its_first_step_leaves_no_log(
    train: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from sentilora.training.gradients import Gradients

    monkeypatch.setattr(Gradients, "accumulate", lambda *arguments: float("nan"))
    assert "no longer a finite number" in train("tensorboard").err
    assert not Path("run").exists()


# MLflow itself.


def test_mlflow_with_a_store_of_its_own(
    train: Callable[..., Outcome], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here / 'store.db'}")
    outcome = train("mlflow")
    assert outcome.code == 0, outcome.err
    assert "has failed" not in outcome.err
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("sentilora")
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.info.status == "FINISHED"
    assert kept.data.params["training.epochs"] == "2"
    losses = client.get_metric_history(kept.info.run_id, "train/loss")
    assert sorted(metric.step for metric in losses) == list(range(1, STEPS + 1))

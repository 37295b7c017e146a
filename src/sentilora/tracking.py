"""`sentilora train --track NAME`: a run's figures into an experiment tracker, by its own library.

    with tracking("tensorboard", run_dir, settings, say, warn) as tracked:
        result = tune(..., reporter=Several(tracked, other))
        tracked.on_result(result, evaluation)

Logged are the settings once, `train/...` after each step, `validation/...` after each evaluation,
and `final/...` at the end. A tracker only watches: one that fails is said once, and the run goes on
without it. Which of the tracker's runs it is stands in the run's folder, so that a resumed run goes
on in the same one. Projects, servers and being offline are the libraries' own affair: their
environment variables (WANDB_MODE, MLFLOW_TRACKING_URI, ...) hold.
"""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from sentilora.errors import UserError, first_line
from sentilora.evaluation import Evaluation
from sentilora.files import read_json, write_json
from sentilora.runs import TRACKING
from sentilora.training import FitResult, Plan, Reporter, StepReport

PROJECT = "sentilora"  # where the user has named no project or experiment
RECORD = "tracker.json"  # in the folder TRACKING of a run
End = Literal["finished", "stopped", "failed"]
Say = Callable[[str], None]


class Tracker(Protocol):
    """One run at a tracker.

    run
        What the tracker knows it by.
    place
        Where to look at it, in words.
    """

    run: str
    place: str

    def log(self, figures: Mapping[str, float], step: int) -> None: ...

    def close(self, end: End) -> None: ...


class _TensorBoard:
    def __init__(self, run_dir: Path, settings: Mapping[str, Any], run: str | None, step: int):
        from torch.utils.tensorboard import SummaryWriter

        folder = run_dir / TRACKING
        # What a killed process logged after its last checkpoint is done again: hide it.
        self._writer = SummaryWriter(
            str(folder), purge_step=step + 1 if run else None, flush_secs=10
        )
        self.run = folder.name
        self.place = f"look at it with: tensorboard --logdir {run_dir}"
        if run is None:
            lines = json.dumps(settings, indent=1, ensure_ascii=False).splitlines()
            self._writer.add_text("settings", "\n".join(f"    {line}" for line in lines), 0)

    def log(self, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self, end: End) -> None:
        self._writer.close()


class _MLflow:
    _ENDS: Mapping[End, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

    def __init__(self, run_dir: Path, settings: Mapping[str, Any], run: str | None, step: int):
        self._mlflow: Any = import_module("mlflow")
        if run is not None:
            started = self._mlflow.start_run(run_id=run)
        else:
            if not {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"} & os.environ.keys():
                self._mlflow.set_experiment(PROJECT)
            started = self._mlflow.start_run(run_name=run_dir.absolute().name)
            self._mlflow.log_params(_flat(settings))
        self.run = started.info.run_id
        self.place = f"run {self.run} at {self._mlflow.get_tracking_uri()}"

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(figures), step=step)

    def close(self, end: End) -> None:
        self._mlflow.end_run(status=self._ENDS[end])


class _Wandb:
    _CODES: Mapping[End, int] = {"finished": 0, "stopped": 130, "failed": 1}

    def __init__(self, run_dir: Path, settings: Mapping[str, Any], run: str | None, step: int):
        self.run = run or uuid.uuid4().hex[:8]
        self._run = import_module("wandb").init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run_dir.absolute().name,
            id=self.run,
            resume="allow",
            config=dict(settings),
        )
        # Its own step only ever rises, but a resumed run may log steps again.
        self._run.define_metric("*", step_metric="step")
        self.place = self._run.url or f"run {self.run}, offline: send it with `wandb sync`"

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._run.log({**figures, "step": step})

    def close(self, end: End) -> None:
        self._run.finish(exit_code=self._CODES[end])


class _Trackio:
    def __init__(self, run_dir: Path, settings: Mapping[str, Any], run: str | None, step: int):
        self._trackio: Any = import_module("trackio")
        # It knows runs by their names alone, and folders of one name are common.
        self.run = run or f"{run_dir.absolute().name}-{uuid.uuid4().hex[:8]}"
        self._trackio.init(
            project=PROJECT, name=self.run, config=dict(settings), resume="allow", embed=False
        )
        self.place = f"look at it with: trackio show --project {PROJECT}"

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._trackio.log(dict(figures), step=step)

    def close(self, end: End) -> None:
        self._trackio.finish()


_TRACKERS: Mapping[str, Callable[[Path, Mapping[str, Any], str | None, int], Tracker]] = {
    "tensorboard": _TensorBoard,
    "mlflow": _MLflow,
    "wandb": _Wandb,
    "trackio": _Trackio,
}


def check_tracker(name: str | None) -> None:
    """Raise `UserError` for a tracker that isn't known, or whose library isn't installed."""
    if name is None:
        return
    if name not in _TRACKERS:
        raise UserError(f"--track {name} is none of {', '.join(_TRACKERS)}. Choose one of them.")
    try:
        import_module(name)
    except ImportError as error:
        raise UserError(
            f"--track {name} needs the library {name}, which can't be imported ({error}). Install "
            f"it with: pip install 'sentilora[{name}]'."
        ) from error


class Tracking(Reporter):
    """Tells a tracker what a run tells, from its start to the end of the `with` block.

    name
        One of the known trackers, or None for none.
    settings
        What is logged once, as JSON has it.
    say, warn
        Are told where the run can be looked at, and that the tracker has failed.
    """

    def __init__(
        self, name: str | None, run_dir: Path, settings: Mapping[str, Any], say: Say, warn: Say
    ) -> None:
        self._name, self._run_dir, self._settings = name, run_dir, settings
        self._say, self._warn = say, warn
        self._tracker: Tracker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stopped: End = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        with self._watching() as tracker:
            if tracker is not None:
                tracker.close("finished" if error is None else stopped)

    def on_start(self, plan: Plan) -> None:
        if self._name is None:
            return
        record = self._run_dir / TRACKING / RECORD
        with self._watching():
            known = read_json(record, "The tracker's record") if record.exists() else {}
            open_run = _TRACKERS[self._name]
            self._tracker = open_run(self._run_dir, self._settings, known.get("run"), plan.done)
            record.parent.mkdir(exist_ok=True)
            write_json(record, {"tracker": self._name, "run": self._tracker.run})
            self._say(f"Tracked  by {self._name}: {self._tracker.place}")

    def on_step(self, report: StepReport) -> None:
        figures = {
            "train/loss": report.loss,
            "train/learning_rate": report.learning_rate,
            "train/gradient_norm": report.gradient_norm,
        }
        self._log(figures, report.step)

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        names = ("loss", "accuracy", "macro_f1", "label_mass", "greedy_share", "temperature")
        self._log({f"validation/{name}": record[name] for name in names}, record["step"])

    def on_result(self, result: FitResult, evaluation: Evaluation) -> None:
        """The run is over: what was measured of the weights that it keeps, and of the baselines."""
        figures: dict[str, float | None] = {
            "final/best_step": result.best_step,
            "final/seconds": result.seconds,
        }
        for name, metrics in evaluation.results.items():
            told = ("accuracy", "macro_f1", "label_mass", "greedy_share", "nll")
            for figure in (*told, "calibration_error", "brier_score"):
                figures[f"final/{name}/{figure}"] = getattr(metrics, figure)
        self._log(figures, result.steps)

    def _log(self, figures: Mapping[str, float | None], step: int) -> None:
        there = {
            name: float(value)
            for name, value in figures.items()
            if value is not None and math.isfinite(value)
        }
        with self._watching() as tracker:
            if tracker is not None:
                tracker.log(there, step)

    @contextmanager
    def _watching(self) -> Iterator[Tracker | None]:
        """The tracker, if there is one still; its errors end it, and not the run."""
        try:
            yield self._tracker
        except Exception as error:  # libraries and servers of others: anything may be raised
            self._tracker = None
            reason = first_line(error)
            self._warn(f"The tracker {self._name} has failed ({reason}). The run goes on without.")


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Sections' settings as `section.name`; what is nested deeper, as JSON."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        inner = value if isinstance(value, Mapping) else {}
        found |= {f"{name}.{key}": _plain(item) for key, item in inner.items()}
        if not isinstance(value, Mapping):
            found[name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    nested = isinstance(value, Mapping | list | tuple)
    return json.dumps(value, ensure_ascii=False) if nested else value

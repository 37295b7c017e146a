"""Run folders: their names, and the configuration that a run is resumed and evaluated from."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sentilora.adapters import AdapterSettings
from sentilora.data import DataOptions
from sentilora.errors import UserError
from sentilora.files import looking_at, read_json, write_json
from sentilora.task import Task
from sentilora.training import FOLDER as CHECKPOINTS
from sentilora.training.settings import TrainSettings

CONFIG = "run.json"
ROOT = Path("runs")
_LONGEST_NAME = 100  # of a folder that nobody named
TRACKING = "tracking"  # the folder of what an experiment tracker keeps in a run's
UNTRAINED = "step-000000"  # how the checkpoint before the first step is named


@dataclass(frozen=True)
class RunConfig:
    """Every choice that a run depends on, as it was settled before training.

    model, revision
        The base as the user named it.
    model_path
        Where a base from this disk is, for a run that is resumed from another folder.
    data, data_options
        The data (an absolute path, a Hub name, or None for the bundled reviews), and how it is
        understood.
    origins
        For each setting of the prompt, the adapter and the training where it came from, in words.
    track
        The experiment tracker that is told of it, if any.
    quantize
        How the base's weights are held, if not as they are stored.
    """

    model: str
    model_path: str | None
    revision: str | None
    data: str | None
    data_options: DataOptions
    task: Task
    adapter: AdapterSettings
    training: TrainSettings
    origins: Mapping[str, str]
    device: str
    dtype: str
    trust_remote_code: bool = False
    track: str | None = None
    quantize: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "data_options": asdict(self.data_options),
            "task": self.task.to_dict(),
            "adapter": self.adapter.to_dict(),
            "training": self.training.to_dict(),
            "track": self.track,
            "quantize": self.quantize,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        options = values["data_options"]
        labels = options["labels"]
        return cls(
            **{name: values[name] for name in _PLAIN},
            data_options=DataOptions(**{**options, "labels": labels and tuple(labels)}),
            task=Task.from_dict(values["task"]),
            adapter=AdapterSettings.from_dict(values["adapter"]),
            training=TrainSettings.from_dict(values["training"]),
            # which earlier versions didn't write
            track=values.get("track"),
            quantize=values.get("quantize"),
        )

    @classmethod
    def read(cls, run_dir: Path) -> RunConfig:
        """The configuration of the run in `run_dir`; `UserError` where there is none."""
        with looking_at(run_dir):
            there, holds_run = run_dir.is_dir(), (run_dir / CONFIG).exists()
        if not there:
            raise UserError(
                f"There is no folder {run_dir}. Give the folder of a run that `sentilora train` "
                "started."
            )
        if not holds_run:
            raise UserError(
                f"{run_dir} holds no run ({CONFIG} is missing). Give a folder that "
                "`sentilora train` wrote."
            )
        try:
            return cls.from_dict(read_json(run_dir / CONFIG, "The run's configuration"))
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{run_dir / CONFIG} is damaged or from another version of sentilora ({error}). "
                "Start a new run."
            ) from error


_PLAIN = (
    "model",
    "model_path",
    "revision",
    "data",
    "origins",
    "device",
    "dtype",
    "trust_remote_code",
)


def absolute(name: str | None) -> str | None:
    """A path as one that holds from any folder; a name as it is."""
    if name is not None and os.path.exists(name):  # noqa: PTH110 - Path's own may raise
        return str(Path(name).absolute())
    return name


def check_place(folder: Path) -> None:
    """Raise `UserError` where no folder can be made, or written to, at `folder`."""
    with looking_at(folder):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file, so no run can go there. Choose a folder with -o.")
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            problem = "can't be written to" if there.is_dir() else "is a file"
            raise UserError(
                f"The folder {folder} can't be used: {there} {problem}. Choose another with -o."
            )


def check_output(output: Path | None) -> None:
    """Raise `UserError` where a run's folder, `output` or one in `ROOT`, could not be made."""
    check_place(output or ROOT)
    if output is None or not output.is_dir():
        return
    with looking_at(output):
        if (output / CONFIG).exists():
            raise UserError(
                f"{output} already holds another run. Choose another folder with -o, or "
                f"continue an unfinished run with `sentilora train --resume {output}`."
            )
        if any(output.iterdir()):
            raise UserError(
                f"{output} already holds files. Choose an empty or a new folder with -o."
            )


@contextmanager
def new_run(config: RunConfig, output: Path | None, data_name: str) -> Iterator[Path]:
    """Make the folder for a new run: `output`, or else runs/BASE-DATA, then -2, -3 and so on.

    Where the block raises a `UserError` before any step of training was saved, nothing is left of
    the run: it could only fail again.

    Raises
    ------
    UserError
        Where `output` already holds something, or the folder can't be made.
    """
    check_output(output)
    folder = output or _free_folder(config.model_path or config.model, data_name)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / CONFIG, config.to_dict())
        except OSError as error:
            raise UserError(
                f"The run's folder {folder} can't be written ({error.strerror or error}). Choose "
                "another one with -o."
            ) from error
        yield folder
    except UserError:
        saved = (folder / CHECKPOINTS).glob("step-*")
        if all(path.name.startswith(UNTRAINED) for path in saved):
            _remove(folder, made)
        raise


def _free_folder(model: str, data_name: str) -> Path:
    base = Path(model).name
    base = base[: -len(".gguf")] if base.lower().endswith(".gguf") else base
    # Hub names' slashes, and blanks, after which the commands that are printed couldn't be pasted
    name = re.sub(r"[^\w.+-]+", "-", f"{base}-{data_name}".lower()).strip("-")[:_LONGEST_NAME]
    number = 1
    while (folder := ROOT / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def _remove(folder: Path, made: list[Path]) -> None:
    """Remove what a run put into its folder, and the folders that were made for it."""
    (folder / CONFIG).unlink(missing_ok=True)
    for name in (CHECKPOINTS, TRACKING):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in made:
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()

"""Run folders: their names, and the configuration that a run is resumed and evaluated from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sentilora.adapters import AdapterSettings
from sentilora.data import DataOptions
from sentilora.errors import UserError
from sentilora.files import read_json, write_json
from sentilora.task import Task
from sentilora.training.settings import TrainSettings

CONFIG = "run.json"
ROOT = Path("runs")


@dataclass(frozen=True)
class RunConfig:
    """Every choice that a run depends on, as it was settled before training.

    model, revision
        The base as the user named it.
    data, data_options
        The data as the user named it (None: the bundled reviews), and how it is understood.
    """

    model: str
    revision: str | None
    data: str | None
    data_options: DataOptions
    task: Task
    adapter: AdapterSettings
    training: TrainSettings
    device: str
    dtype: str
    trust_remote_code: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "data_options": asdict(self.data_options),
            "task": self.task.to_dict(),
            "adapter": self.adapter.to_dict(),
            "training": self.training.to_dict(),
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
        )

    def save(self, run_dir: Path) -> None:
        write_json(run_dir / CONFIG, self.to_dict())

    @classmethod
    def read(cls, run_dir: Path) -> RunConfig:
        """The configuration of the run in `run_dir`; `UserError` where there is none."""
        if not (run_dir / CONFIG).exists():
            raise UserError(
                f"{run_dir} holds no run ({CONFIG} is missing). Give a folder that "
                "`sentilora train` wrote."
            )
        try:
            return cls.from_dict(read_json(run_dir / CONFIG, "The run's configuration"))
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{run_dir / CONFIG} is damaged or from another version of sentilora ({error})."
            ) from error


_PLAIN = ("model", "revision", "data", "device", "dtype", "trust_remote_code")


def new_run_folder(output: Path | None, model: str, data_name: str) -> Path:
    """Make the folder for a new run: `output`, or else runs/BASE-DATA, then -2, -3 and so on.

    Raises `UserError` where `output` already holds something, or can't be made.
    """
    if output is not None:
        return _claim(output)
    base = Path(model).name.removesuffix(".gguf") or model
    name = f"{base}-{data_name}".replace("/", "-").lower()
    number = 1
    while True:
        folder = ROOT / (name if number == 1 else f"{name}-{number}")
        if not folder.exists():
            return _claim(folder)
        number += 1


def _claim(folder: Path) -> Path:
    if folder.is_dir() and any(folder.iterdir()):
        holds = "another run" if (folder / CONFIG).exists() else "files"
        raise UserError(
            f"{folder} already holds {holds}. Choose another folder with -o, or continue an "
            f"unfinished run with `sentilora train --resume {folder}`."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The folder {folder} can't be made: {error.strerror}. Choose another with -o."
        ) from error
    return folder

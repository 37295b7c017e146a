"""Checkpoints on disk: whole and verified, or not there at all.

RUN/checkpoints/step-000123/ holds what is needed to go on as if nothing had happened: tensors as
safetensors, the rest as `state.json`, and `MANIFEST.json` with the SHA-256 of each, written last.
It is staged in a hidden sibling, synced to the disk and renamed, so a process that is killed at any
point leaves the checkpoints before it untouched. A state evaluated after its step is named
step-000123-evaluated: the same step's state may be saved before (Ctrl-C while evaluating) and after
without one replacing the other.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from sentilora.errors import UserError
from sentilora.files import sha256, write_bytes, write_json
from sentilora.training.settings import TrainSettings

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
STATE, MANIFEST = "state.json", "MANIFEST.json"
KEPT = 2
_NAME = re.compile(r"step-(\d+)(-evaluated)?")
_STAGING = ".staging-"
_SLACK = 2**24  # bytes to spare for the artefact and the logs


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found whole. `state` is its `state.json`."""

    path: Path
    state: dict[str, Any]

    @property
    def settings(self) -> TrainSettings:
        """The settings that the run was started with."""
        return TrainSettings.from_dict(self.state["settings"])

    @property
    def environment(self) -> dict[str, Any]:
        """The environment that the run was started in, as `environment.environment` gives it."""
        return dict(self.state["environment"])

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of NAME.safetensors, in fresh memory on the CPU."""
        stored = safetensors.torch.load(_tensor_file(self.path, name).read_bytes())
        return {key: tensor.clone() for key, tensor in stored.items()}


def newest_valid(run_dir: Path, warn: Callable[[str], None] = logger.warning) -> Checkpoint | None:
    """The newest checkpoint of a run whose hashes are right, or None where it has none at all.

    `warn` is told of each newer one that is damaged.

    Raises
    ------
    UserError
        Where there are checkpoints, and all are damaged.
    """
    found = _checkpoints(run_dir)
    for path in reversed(found):
        try:
            return _verified(path)
        except (OSError, ValueError) as error:
            warn(f"The checkpoint {path} is damaged and is not used: {error}.")
    if found:
        raise UserError(
            f"All checkpoints in {run_dir / FOLDER} are damaged, so this run can't be resumed. "
            "Check the disk, and start a new run."
        )
    return None


class CheckpointStore:
    """Writes a run's checkpoints and keeps the newest two that are known to be whole.

    Parameters
    ----------
    run_dir
        The run's folder; made where it isn't there.
    resumed_from
        The checkpoint that the run goes on from. Without one, the run must have none.

    Raises
    ------
    UserError
        Where the folder can't be written, or holds checkpoints that would be overwritten.
    """

    def __init__(self, run_dir: Path, resumed_from: Checkpoint | None = None) -> None:
        self.folder = run_dir / FOLDER
        if resumed_from is None and _checkpoints(run_dir):
            raise UserError(
                f"{run_dir} already holds the checkpoints of a run. Resume it with --resume "
                f"{run_dir}, or choose another folder with -o."
            )
        self._whole = [resumed_from.path] if resumed_from else []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            probe = self.folder / f"{_STAGING}probe"
            write_bytes(probe, b"written before training, to see whether it can be")
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"The run's folder {run_dir} can't be written ({error.strerror or error}). "
                "Choose another one with -o."
            ) from error

    @property
    def newest(self) -> Path | None:
        """The newest checkpoint known to be whole."""
        return self._whole[-1] if self._whole else None

    def check_space(self, checkpoint_bytes: int) -> None:
        """Raise `UserError` where the disk can't hold the checkpoints kept and one more."""
        needed = (KEPT + 1) * checkpoint_bytes + _SLACK
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise UserError(
                f"The run's checkpoints need up to {needed / 1e6:,.0f} MB, and the disk of "
                f"{self.folder.parent} has {free / 1e6:,.0f} MB free. Make room, or choose another "
                "disk with -o."
            )

    def write(
        self,
        step: int,
        evaluated: bool,
        state: Mapping[str, Any],
        tensors: Mapping[str, Mapping[str, Tensor]],
    ) -> Path:
        """Writes a checkpoint; `tensors` maps a file's name to what it holds.

        Raises
        ------
        OSError
            Where the disk is full or fails; nothing of the new checkpoint is left then, and the
            ones before it are untouched.
        """
        path = self.folder / f"step-{step:06d}{'-evaluated' * evaluated}"
        staging = self.folder / f"{_STAGING}{path.name}"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            _stage(staging, state, tensors)
            if path.exists():  # a damaged one, for the run went on from an older one
                self._discard(path)
            staging.rename(path)
            _sync_folder(self.folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        self._whole = [*(p for p in self._whole if p != path), path][-KEPT:]
        for older in _checkpoints(self.folder.parent):
            if older not in self._whole:
                self._discard(older)
        return path

    def _discard(self, path: Path) -> None:
        """Removes a checkpoint such that it never looks like a damaged one."""
        hidden = self.folder / f"{_STAGING}old-{path.name}"
        shutil.rmtree(hidden, ignore_errors=True)
        path.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    def _sweep(self) -> None:
        """Removes what a killed process left half made."""
        for leftover in self.folder.glob(f"{_STAGING}*"):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def _checkpoints(run_dir: Path) -> list[Path]:
    """The folders named as checkpoints, oldest first, whatever is in them."""
    folder = run_dir / FOLDER
    if not folder.is_dir():
        return []
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return [path for _, path in sorted(((int(m[1]), bool(m[2])), path) for m, path in named if m)]


def _tensor_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _stage(
    staging: Path, state: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Tensor]]
) -> None:
    staging.mkdir()
    for name, held in tensors.items():
        write_bytes(_tensor_file(staging, name), safetensors.torch.save(dict(held)))
    write_json(staging / STATE, state)
    hashes = {path.name: sha256(path) for path in sorted(staging.iterdir())}
    write_json(staging / MANIFEST, {"sha256": hashes})
    _sync_folder(staging)


def _sync_folder(folder: Path) -> None:
    """Makes the folder's own entries last; Windows, which can't, does so itself."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _verified(path: Path) -> Checkpoint:
    """Raises OSError or ValueError where anything is missing or not as it was written."""
    try:
        hashes: dict[str, str] = dict(json.loads(_read(path / MANIFEST))["sha256"])
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{MANIFEST} is not as it was written") from error
    contents = {name: _read(path / name) for name in hashes}
    for name, expected in hashes.items():
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise ValueError(f"{name} is not as it was written")
    if STATE not in contents:
        raise ValueError(f"{MANIFEST} doesn't list {STATE}")
    return Checkpoint(path, json.loads(contents[STATE]))


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    return path.read_bytes()

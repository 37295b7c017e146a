"""Checkpoints: whole or not there, whatever happens while they are written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sentilora.errors import UserError
from sentilora.training import TrainSettings
from sentilora.training.checkpoint import CheckpointStore, newest_valid
from training import toy


def write(store: CheckpointStore, step: int, evaluated: bool = False) -> Path:
    """A checkpoint whose every part tells its step."""
    tensors = {"weights": {"a": torch.full((3, 2), float(step))}, "best": {}}
    return store.write(step, evaluated, {"step": step}, tensors)


def names(run_dir: Path) -> list[str]:
    return sorted(path.name for path in (run_dir / "checkpoints").iterdir())


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run with the checkpoints of steps 1 and 2."""
    store = CheckpointStore(tmp_path)
    write(store, 1)
    write(store, 2)
    return tmp_path


def step_of(run_dir: Path) -> int:
    """The step of the newest valid checkpoint, of which no other may be damaged."""
    warnings: list[str] = []
    checkpoint = newest_valid(run_dir, warnings.append)
    assert not warnings
    assert checkpoint is not None
    step: int = checkpoint.state["step"]
    assert torch.equal(checkpoint.tensors("weights")["a"], torch.full((3, 2), float(step)))
    assert checkpoint.tensors("best") == {}
    return step


def test_what_was_written_is_read(run_dir: Path) -> None:
    assert step_of(run_dir) == 2


def test_a_run_without_checkpoints(tmp_path: Path) -> None:
    assert newest_valid(tmp_path) is None


def test_the_newest_two_are_kept(run_dir: Path) -> None:
    checkpoint = newest_valid(run_dir)
    store = CheckpointStore(run_dir, checkpoint)
    for step in (3, 10):
        write(store, step)
    assert names(run_dir) == ["step-000003", "step-000010"]
    write(store, 10, evaluated=True)
    assert names(run_dir) == ["step-000010", "step-000010-evaluated"]
    assert store.newest == run_dir / "checkpoints" / "step-000010-evaluated"


def test_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 999_999)
    write(store, 1_000_000)
    assert step_of(tmp_path) == 1_000_000


FILES = ["weights.safetensors", "best.safetensors", "state.json", "MANIFEST.json"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "delete"])
def test_a_damaged_one_is_named_and_the_older_used(run_dir: Path, name: str, damage: str) -> None:
    path = run_dir / "checkpoints" / "step-000002" / name
    data = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes({"flip": data, "truncate": data[:-5], "empty": b""}[damage])
    warnings: list[str] = []
    checkpoint = newest_valid(run_dir, warnings.append)
    assert checkpoint is not None
    assert checkpoint.state["step"] == 1
    assert len(warnings) == 1
    assert "step-000002 is damaged" in warnings[0]
    assert name in warnings[0] or name == "MANIFEST.json"


def test_every_byte_is_watched(run_dir: Path) -> None:
    """Any bit that flips is noticed, unless what is read stays the same (white space)."""
    folder = run_dir / "checkpoints" / "step-000002"
    for path in folder.iterdir():
        original = path.read_bytes()
        for at in range(len(original)):
            path.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
            noticed: list[str] = []
            newest_valid(run_dir, noticed.append)
            same = path.name == "MANIFEST.json" and original[at : at + 1].isspace()
            assert noticed or same, (path.name, at)
        path.write_bytes(original)


def test_a_damaged_one_is_replaced_when_the_run_comes_there_again(run_dir: Path) -> None:
    (run_dir / "checkpoints" / "step-000002" / "MANIFEST.json").unlink()
    store = CheckpointStore(run_dir, newest_valid(run_dir, toy.ignore))
    write(store, 2)
    assert step_of(run_dir) == 2
    assert names(run_dir) == ["step-000001", "step-000002"]


def test_all_damaged(run_dir: Path) -> None:
    for manifest in run_dir.rglob("MANIFEST.json"):
        manifest.write_text("[]")
    with pytest.raises(UserError, match=r"All checkpoints .* are damaged"):
        newest_valid(run_dir, toy.ignore)


def test_a_new_run_does_not_take_the_folder_of_another(run_dir: Path) -> None:
    with pytest.raises(UserError, match=r"already holds the checkpoints of a run"):
        CheckpointStore(run_dir)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"can't be written \(Not a directory\)"):
        CheckpointStore(tmp_path / "file" / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir(mode=0o500)
    with pytest.raises(UserError, match=r"can't be written \(Permission denied\)"):
        CheckpointStore(tmp_path)


def test_too_little_space_is_noticed_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"has 0 MB free"):
        toy.train(tmp_path)


def test_a_full_disk_leaves_the_checkpoints_before(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(run_dir, newest_valid(run_dir))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing_at(3))
        with pytest.raises(OSError, match="No space"):
            write(store, 3)
    assert names(run_dir) == ["step-000001", "step-000002"]
    write(store, 4)
    assert step_of(run_dir) == 4


def failing_at(call: int) -> Any:
    calls = []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")

    return fsync


def test_training_goes_on_where_a_checkpoint_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Warnings(toy.Reporter):
        def __init__(self) -> None:
            self.messages: list[str] = []

        def on_warning(self, message: str) -> None:
            self.messages.append(message)

    reporter = Warnings()
    expected = toy.train(tmp_path / "whole")
    monkeypatch.setattr(os, "fsync", failing_at(20))  # 1 + 7 per checkpoint: in the third
    trained = toy.train(tmp_path / "full", reporter=reporter)
    assert trained.same_as(expected)
    assert len(reporter.messages) == 1
    assert "No space left on device" in reporter.messages[0]


# Killed while writing -------------------------------------------------------------------------


def write_and_die(run_dir: Path, at: int, count_file: Path | None = None) -> None:
    """Writes the checkpoint of step 3 and dies at the `at`th thing that it does on the disk."""
    store = CheckpointStore(run_dir, newest_valid(run_dir))
    happened = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal happened
        writes = event == "open" and "w" in (arguments[1] or "")
        if writes or event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir"):
            happened += 1
            if happened == at:
                toy.die()

    sys.addaudithook(watch)
    write(store, 3)
    total = happened
    if count_file is not None:
        count_file.write_text(str(total))


def test_killed_at_any_point_of_writing(run_dir: Path, tmp_path: Path) -> None:
    """Either the new checkpoint is there, whole, or the one before; never a damaged one."""
    template = tmp_path.parent / f"{tmp_path.name}-template"
    shutil.copytree(run_dir, template)
    counted = tmp_path.parent / f"{tmp_path.name}-count"
    assert toy.run_child(write_and_die, run_dir, 0, counted) == 0
    total = int(counted.read_text())
    assert total > 15
    found = []
    for at in range(1, total + 1):
        shutil.rmtree(run_dir)
        shutil.copytree(template, run_dir)
        assert toy.run_child(write_and_die, run_dir, at) < 0
        found.append(step_of(run_dir))
        store = CheckpointStore(run_dir, newest_valid(run_dir))
        assert all(not name.startswith(".") for name in names(run_dir))
        write(store, 4)
        assert step_of(run_dir) == 4
    assert set(found) == {2, 3}
    assert found == sorted(found)


def test_state_is_plain_json(tmp_path: Path) -> None:
    toy.train(tmp_path, TrainSettings(epochs=1, batch_size=22), checkpoint_seconds=9e9)
    checkpoint = newest_valid(tmp_path)
    assert checkpoint is not None
    state = json.loads((checkpoint.path / "state.json").read_text())
    assert state["settings"]["batch_size"] == 22
    assert set(state["environment"]) >= {"torch", "transformers", "peft", "threads", "processor"}
    assert checkpoint.settings == TrainSettings(epochs=1, batch_size=22)

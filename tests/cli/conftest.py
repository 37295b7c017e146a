"""The command as its users run it, on data files and a small base of the tests' own."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from command import Outcome, run, start
from samples import LONG, TRAINING, Work, reviews, write_csv


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the command runs."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def data(here: Path) -> Path:
    """reviews.csv: 60 rows, with no splits."""
    return write_csv(here / "reviews.csv", reviews(60))


@pytest.fixture(scope="session")
def finished(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A folder in which `sentilora train` was run to its end; never to be changed."""
    work = Work(tmp_path_factory.mktemp("finished"))
    write_csv(work.folder / "reviews.csv", reviews(60))
    arguments = ("train", "--model", tiny_base, "--data", "reviews.csv", *TRAINING)
    outcome = run(*arguments, cwd=work.folder)
    assert outcome.code == 0, outcome.err
    work.outcomes[Path("runs/base-reviews")] = outcome
    return work


@pytest.fixture(scope="session")
def adapter(finished: Work) -> Path:
    """The adapter in it; never to be changed."""
    return finished.folder / "runs/base-reviews"


@pytest.fixture
def broken(adapter: Path, here: Path) -> Path:
    """A copy of the adapter, to be damaged."""
    shutil.copytree(adapter, here / "broken")
    return Path("broken")


@pytest.fixture(scope="session")
def uninterrupted(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 steps to its end."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    write_csv(folder / "reviews.csv", reviews(60))
    outcome = run(
        "train", "--model", tiny_base, "--data", "reviews.csv", *TRAINING, *LONG, cwd=folder
    )
    assert outcome.code == 0, outcome.err
    return folder / "run"


def _stopped(tiny_base: Path, folder: Path, number: signal.Signals) -> Outcome:
    """A process of the same run that got a signal after its sixth step."""
    write_csv(folder / "reviews.csv", reviews(60))
    process = start(
        "train", "--model", tiny_base, "--data", "reviews.csv", *TRAINING, *LONG, cwd=folder
    )
    return process.signal_after("step 6", number)


@pytest.fixture(scope="session")
def interrupted(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """The same run stopped by Ctrl-C; never to be changed."""
    work = Work(tmp_path_factory.mktemp("interrupted"))
    work.outcomes[Path("run")] = _stopped(tiny_base, work.folder, signal.SIGINT)
    return work


@pytest.fixture(scope="session")
def killed(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """The same run killed without a warning; never to be changed."""
    work = Work(tmp_path_factory.mktemp("killed"))
    work.outcomes[Path("run")] = _stopped(tiny_base, work.folder, signal.SIGKILL)
    return work


@pytest.fixture
def unfinished(interrupted: Work, here: Path) -> Path:
    """A copy of the interrupted run, to be resumed or damaged."""
    shutil.copytree(interrupted.folder / "run", here / "run")
    return Path("run")

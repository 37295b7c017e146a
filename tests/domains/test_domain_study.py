"""Which rows count as trained on, which finished runs are used: by adapters that only say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_sets import load, turns, write_rows, write_set

from sentilora.artifact import DESCRIPTION, Artifact, RowHashes
from sentilora.correction import Correction
from sentilora.data import load_data
from sentilora.data.dataset import SPLITS, DataSet
from sentilora.domains.mixture import MIXTURE
from sentilora.domains.sources import Domain
from sentilora.domains.study import check_rows, matrix, planned
from sentilora.errors import UserError
from sentilora.planned_runs import PlannedRun
from sentilora.scoring import Scores


class Adapters:
    """Stands for `Artifact.read` and `Answering`: finished runs, and what they answer."""

    def __init__(self, domains: Sequence[Domain], study: Path) -> None:
        self.runs = planned(domains, "base", 0, {}, study, mixture=True)
        self.there: dict[Path, Any] = {}
        for run in self.runs:
            assert run.options is not None
            self._finish(run, load_data(run.options["data"]))

    def _finish(self, run: PlannedRun, dataset: DataSet) -> None:
        run.folder.mkdir(parents=True)
        (run.folder / DESCRIPTION).touch()
        texts = {split: [row.text for row in dataset.split(split)] for split in SPLITS}
        task = SimpleNamespace(labels=dataset.labels)
        self.there[run.folder] = SimpleNamespace(
            task=task, rows=RowHashes.of(**texts), conformal=None
        )

    def read(self, folder: Path) -> Any:
        return self.there[folder]

    def ask(self, run: Path, domains: Sequence[Domain], **how: bool) -> Mapping[str, Scores]:
        labels = len(self.there[run].task.labels)
        return {
            domain.name: Scores(
                np.full((len(domain.dataset.test), labels), -2.0, np.float32),
                np.zeros(len(domain.dataset.test), bool),
                Correction(),
            )
            for domain in domains
        }


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Domain], Adapters]:
    """Two sets of film reviews; imdb trains and validates on rows that sst2 tests with."""
    write_rows(tmp_path, "imdb", train=turns("a", 8), validation=turns("b", 4), test=turns("c", 4))
    write_rows(
        tmp_path,
        "sst2",
        train=turns("d", 8),
        validation=turns("e", 4),
        test={**turns("a", 4), **turns("b", 2), **turns("f", 4)},
    )
    domains = load(tmp_path, "imdb", "sst2")
    adapters = Adapters(domains, tmp_path / "study")
    monkeypatch.setattr(Artifact, "read", adapters.read)
    return domains, adapters


def test_what_a_run_was_trained_or_validated_on_is_left_out_for_it(
    films: tuple[list[Domain], Adapters],
) -> None:
    """The mixture is measured on what it didn't see, though one of its domains trains on it."""
    domains, adapters = films
    cells, notes = matrix(domains, adapters.runs, adapters)  # type: ignore[arg-type]
    left_out = {(cell.model, cell.domain): cell.seen for cell in cells if cell.seen}
    assert left_out == {("imdb", "sst2"): 6, (MIXTURE, "sst2"): 2}
    assert notes == []


def test_a_mixture_that_was_trained_on_test_rows_is_not_measured_on_them(
    films: tuple[list[Domain], Adapters],
) -> None:
    domains, adapters = films
    folder = next(run.folder for run in adapters.runs if run.contender == MIXTURE)
    adapters.there[folder].rows = RowHashes.of(
        train=["Movie review: a 0", "f 0"], validation=(), test=()
    )
    cells, _ = matrix(domains, adapters.runs, adapters)  # type: ignore[arg-type]
    left_out = {cell.domain: cell.seen for cell in cells if cell.model == MIXTURE}
    assert left_out == {"imdb": 0, "sst2": 1}


def test_runs_of_the_present_rows_are_taken(films: tuple[list[Domain], Adapters]) -> None:
    domains, adapters = films
    check_rows(domains, adapters.runs)


RELABELLED = {"train": ("a", 8), "validation": ("b", 4), "test": ("c", 4)}


@pytest.mark.parametrize(
    "changed",
    [
        {"train": turns("a", 7)},
        {"validation": turns("other", 4)},
        {split: turns(*rows, ("bad", "good")) for split, rows in RELABELLED.items()},
    ],
)
def test_runs_of_other_rows_are_refused(
    changed: dict[str, dict[str, str]], films: tuple[list[Domain], Adapters], tmp_path: Path
) -> None:
    _, adapters = films
    write_rows(tmp_path, "imdb", **changed)
    with pytest.raises(UserError, match=r"changed since. Choose another folder with -o"):
        check_rows(load(tmp_path, "imdb", "sst2"), adapters.runs)


def test_new_test_rows_are_no_other_training_rows(
    films: tuple[list[Domain], Adapters], tmp_path: Path
) -> None:
    _, adapters = films
    write_rows(tmp_path, "imdb", test=turns("new", 6))
    check_rows(load(tmp_path, "imdb", "sst2"), adapters.runs)


def test_a_domain_that_is_called_as_the_mixture_is(tmp_path: Path) -> None:
    for name in (MIXTURE, "imdb"):
        write_set(tmp_path, name, 6, ("negative", "positive"))
    with pytest.raises(UserError, match="another name"):
        planned(load(tmp_path, MIXTURE, "imdb"), "base", 0, {}, tmp_path, mixture=False)

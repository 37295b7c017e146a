"""`sentilora domains`: trains on each, measures on all, and goes on where it was stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command import run
from samples import reviews, write_csv

from pages import read_page
from sentilora import domains
from sentilora.cli import training_runs
from sentilora.data.catalog import KNOWN
from sentilora.errors import UserError

FP32 = ("--device", "cpu", "--dtype", "float32")
SHORT = ("--options", "--epochs 1 --batch-size 12 --max-length 128")


def write_domains(folder: Path) -> None:
    write_csv(folder / "shops.csv", reviews(80, seed=1))
    three = [
        (f"{text} again", "neutral" if n % 3 == 0 else label)
        for n, (text, label) in enumerate(reviews(90, seed=2))
    ]
    write_csv(folder / "films.csv", three)


@pytest.fixture(scope="module")
def measured(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two domains were measured; never to be changed."""
    folder = tmp_path_factory.mktemp("domains")
    write_domains(folder)
    outcome = run(*asked(tiny_base), cwd=folder)
    assert outcome.code == 0, outcome.err
    (folder / "said.txt").write_text(outcome.out)
    return folder


def asked(base: Path) -> tuple[object, ...]:
    return ("domains", "--on", "shops.csv,films.csv", "--model", base, "-o", "out", *SHORT, *FP32)


def cells(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = json.loads((folder / "out/domains.json").read_text())["cells"]
    return {(cell["model"], cell["domain"]): cell for cell in found}


def test_every_model_on_every_domain(measured: Path) -> None:
    models = ("shops", "films", "mixture")
    assert set(cells(measured)) == {(m, d) for m in models for d in ("shops", "films")}


def test_a_domains_own_cell_is_what_its_run_says(measured: Path) -> None:
    own = run("evaluate", measured / "out/runs/films", *FP32, "--json")
    told = json.loads(own.out)
    cell = cells(measured)["films", "films"]
    assert cell["metrics"] == told["results"]["tuned"]
    assert cell["untuned"] == told["results"]["untuned"]
    assert cell["label_sets"] == told["label_sets"]
    assert cell["against"] is None


def test_what_each_was_trained_with(measured: Path) -> None:
    settings = json.loads((measured / "out/domains.json").read_text())["settings"]
    assert set(settings) == {"shops", "films", "mixture"}
    assert {(each["epochs"], each["batch_size"]) for each in settings.values()} == {(1, 12)}


def test_labels_that_one_lacks_are_left_out_and_counted(measured: Path) -> None:
    cell = cells(measured)["shops", "films"]
    assert cell["compared"] == ["negative", "positive"]
    assert cell["other_label"] + cell["metrics"]["rows"] == 9
    said = (measured / "said.txt").read_text()
    assert f"{cell['other_label']} rows with another label than negative, positive" in " ".join(
        said.split()
    )


def test_the_tables(measured: Path) -> None:
    said = (measured / "said.txt").read_text()
    for part in ("Accuracy from domain to domain", "untuned base", "on films", "mixture"):
        assert part in said
    assert max(map(len, said.splitlines())) <= 80


def test_the_page_beside_the_figures(measured: Path) -> None:
    accuracy = read_page((measured / "out/report.html").read_text()).tables["Accuracy, %"]
    domains = accuracy.lines[0][1:]
    for (model, domain), cell in cells(measured).items():
        shown = accuracy.line(model)[domains.index(domain)]
        assert shown == f"{100 * cell['metrics']['accuracy']:.1f}"


def test_what_is_done_is_not_done_again(measured: Path, tiny_base: Path) -> None:
    before = cells(measured)
    again = run(*asked(tiny_base), "--json", cwd=measured)
    assert again.code == 0, again.err
    assert "Run 1 of" not in again.err
    assert json.loads(again.out)["cells"] == list(before.values())


def test_data_that_was_changed_since(measured: Path, tiny_base: Path, here: Path) -> None:
    shutil.copytree(measured, here, dirs_exist_ok=True)
    write_csv(here / "shops.csv", reviews(100, seed=1))
    said = run(*asked(tiny_base)).error
    assert "The rows of shops" in said
    assert "Choose another folder with -o" in said


def test_domains_without_labels_in_common(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before anything is trained, and refused where nothing is left to measure."""
    write_domains(here)
    named = {"negative": "bug", "positive": "praise"}
    write_csv(here / "bugs.csv", [(text, named[label]) for text, label in reviews(80, seed=3)])

    def train_all(runs: object) -> None:
        raise UserError("Trained.")

    monkeypatch.setattr(training_runs, "train_all", train_all)
    words = ("domains", "--on", "shops.csv,bugs.csv", "-o", "out", *FP32)
    outcome = run(*words)
    assert outcome.error == "Error: Trained."
    assert "shops (negative, positive) and bugs (bug, praise)" in outcome.err
    assert "No two of the domains" in run(*words, "--no-mixture").error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--learning-rate -1", "learning_rate"),
        ("--targets nose", "nose"),
        ("--dtype float7", "float7"),
        ("--patience 2 --select last", "patience"),
    ],
)
def test_options_are_checked_before_rows_are_read(
    options: str, said: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domains, "load_domains", None)  # would be a TypeError
    assert said in run("domains", "--on", "a.csv,b.csv", "--options", options, *FP32).error


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("shops.csv", "two or more"),
        ("shops.csv,shops.csv", "named twice"),
        ("shops.csv,roten_tomatoes", "Do you mean rotten_tomatoes?"),
        ("shops.csv,none.csv", "no known set of that name"),
    ],
)
def test_domains_that_cannot_be(names: str, said: str, here: Path) -> None:
    write_domains(here)
    assert said in run("domains", "--on", names, *FP32).error


def test_a_file_where_the_study_should_go(here: Path) -> None:
    write_domains(here)
    error = run("domains", "--on", "shops.csv,none.csv", "-o", "shops.csv", *FP32).error
    assert "shops.csv is a file" in error


def test_known_names_are_in_the_help_and_in_the_error(here: Path) -> None:
    """The help's are written out there, for a catalogue isn't imported to show it."""
    write_domains(here)
    told = run("domains", "--help").out
    error = run("domains", "--on", "shops.csv,none.csv", *FP32).error
    for each in KNOWN:
        if each.hub is not None:
            assert each.name in told
            assert each.name in error

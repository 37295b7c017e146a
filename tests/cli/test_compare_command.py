"""`sentilora compare`: trains what is missing, and measures all on the same rows."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import yaml
from command import run
from samples import TRAINING, Work, reviews, write_csv

from models import tiny_model
from pages import read_page
from sentilora.cli import training_runs
from sentilora.cli.rows import data_options
from sentilora.comparison import same_settings
from sentilora.comparison.rows import compared_rows
from sentilora.data import load, load_data
from sentilora.data.dataset import RawData, RawRow
from sentilora.devices import processor
from sentilora.errors import UserError
from sentilora.files import sha256
from sentilora.planned_runs import PlannedRun

FP32 = ("--device", "cpu", "--dtype", "float32")
SHORT = ("--options", "--epochs 1 --batch-size 12 --max-length 128")
VARIANTS = ("--variant", "", "--variant", "--rank 1")


@pytest.fixture(scope="module")
def compared(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two variants were compared with two seeds; never to be changed."""
    folder = tmp_path_factory.mktemp("compared")
    write_csv(folder / "reviews.csv", reviews(120))
    outcome = run(
        *("compare", "--models", tiny_base, "--data", "reviews.csv", "--seeds", 2, "-o", "out"),
        *(*VARIANTS, *SHORT, *FP32),
        cwd=folder,
    )
    assert outcome.code == 0, outcome.err
    (folder / "said.txt").write_text(outcome.out)
    return folder


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "out/comparison.json").read_text())


def test_every_variant_with_every_seed(compared: Path) -> None:
    found = result(compared)
    assert found["data"] == "reviews"
    assert [one["name"] for one in found["contenders"]] == ["base, default", "base, rank 1"]
    full, small = found["contenders"]
    assert [len(one["runs"]) for one in (full, small)] == [2, 2]
    assert full["runs"][0]["trained"] == 8 * small["runs"][0]["trained"] > 0
    names = [(pair["first"], pair["second"]) for pair in found["pairs"]]
    tfidf = "TF-IDF + log. reg."
    assert names == [
        ("base, default", "base, rank 1"),
        ("base, default", tfidf),
        ("base, rank 1", tfidf),
    ]


def test_it_is_said_what_the_seconds_were_measured_on(adapter: Path, here: Path) -> None:
    """Training, and a measurement that is kept, may be another machine's."""
    asked = ("compare", "--run", adapter, "-o", "out", *FP32)
    first = run(*asked)
    trained = json.loads((adapter / "sentilora.json").read_text())["metrics"]["environment"]
    on = " ".join(first.out.split())
    assert "the adapters in" not in first.err  # none was trained here
    assert f"Trained on {trained['processor']}; asked on {processor('cpu')}." in on
    (kept,) = Path("out/measured").iterdir()
    kept.write_text(kept.read_text().replace(json.dumps(processor("cpu")), '"another machine"'))
    again = " ".join(run(*asked).out.split())
    assert "Trained on another machine; asked on another machine." in again


def test_each_run_says_on_these_rows_what_it_says_itself(compared: Path) -> None:
    """The seeds share their rows, and a run's own evaluation is on them, too."""
    found = result(compared)
    assert found["rows"] == 12
    measured = found["contenders"][0]["runs"][1]
    own = run("evaluate", compared / "out/runs/base-default-seed1", *FP32, "--json")
    told = json.loads(own.out)["results"]
    assert measured["tuned"] == told["tuned"]
    assert measured["untuned"] == told["untuned"]
    assert measured["tuned"]["rows"] == len(measured["predicted"]) == 12


def test_the_tables(compared: Path) -> None:
    said = (compared / "said.txt").read_text()
    assert "reviews, test: 12 rows" in said
    for part in ("base, rank 1", "TF-IDF + log. reg.", "What training takes", "Do they differ?"):
        assert part in said
    assert max(map(len, said.splitlines())) <= 80


def test_the_page_beside_the_figures(compared: Path) -> None:
    page = read_page((compared / "out/report.html").read_text())
    for one in result(compared)["contenders"]:
        found = one["over_runs"]["accuracy"]
        assert found["mean"] == mean(each["tuned"]["accuracy"] for each in one["runs"])
        low, high = (100 * edge for edge in found["interval"])
        shown = f"{100 * found['mean']:.1f} % [{low:.1f}, {high:.1f}]"
        assert page.tables["The same rows, by each"].line(one["name"])[1] == shown
    assert "How they learned" in page.text
    assert page.plots()[-1].count("the best evaluation was at step") == 4


def test_without_matplotlib_there_is_no_page(
    adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = run("compare", "--run", adapter, "-o", "out", *FP32)
    assert outcome.code == 0, outcome.err
    assert "There is no report.html" in outcome.err
    assert "pip install 'sentilora[report]'" in outcome.err
    assert Path("out/comparison.json").exists()
    assert not Path("out/report.html").exists()


def test_what_is_done_is_not_done_again(compared: Path, tiny_base: Path) -> None:
    asked = ("compare", "--models", tiny_base, "--data", "reviews.csv", "--seeds", 2, "-o", "out")
    before = {path: path.stat().st_mtime_ns for path in (compared / "out/runs").rglob("*.json")}
    again = run(*asked, *VARIANTS, *SHORT, *FP32, "--json", cwd=compared)
    assert again.code == 0, again.err
    assert "Run 1 of" not in again.err
    assert json.loads(again.out) == result(compared)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    other = run(*asked, *VARIANTS, "--options", "--epochs 2", *FP32, cwd=compared)
    assert "begun with other options" in other.error


def test_other_rows_of_the_same_name_are_refused(
    compared: Path, tiny_base: Path, here: Path
) -> None:
    shutil.copytree(compared / "out", here / "out")
    write_csv(here / "reviews.csv", reviews(120, seed=5))
    asked = ("compare", "--models", tiny_base, "--data", "reviews.csv", "--seeds", 2, "-o", "out")
    assert "begun with other options" in run(*asked, *VARIANTS, *SHORT, *FP32).error


def test_measured_as_it_was_trained(tiny_base: Path, here: Path) -> None:
    """Columns and values that training was told of are known to the measuring, too."""
    (here / "set").mkdir()
    for seed, split in enumerate(("train", "validation", "test")):
        lines = [f"{label == 'positive':d},{text}" for text, label in reviews(40, seed=seed)]
        (here / "set" / f"{split}.csv").write_text("\n".join(["stars,words", *lines]))
    understood = "--text-column words --label-column stars --labels 1=positive,0=negative"
    outcome = run(
        *("compare", "--models", tiny_base, "--data", "set", "-o", "out", *FP32, "--json"),
        *("--options", f"--epochs 1 --batch-size 20 --max-length 128 {understood}"),
    )
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["labels"] == ["positive", "negative"]
    assert found["rows"] + found["left_out"] == 40


def test_two_bases_from_a_file_beside_a_run_with_its_labels_in_another_order(
    tiny_base: Path, tiny_tokenizer: Any, adapter: Path, here: Path
) -> None:
    tiny_model("gpt2").save_pretrained(here / "other")
    tiny_tokenizer.save_pretrained(here / "other")
    write_csv(here / "texts.csv", reviews(80, seed=7))
    asked = {
        "data": "texts.csv",
        "models": [str(tiny_base), "./other"],
        "variants": {"query and value": {"targets": ["query", "value"]}},
        "options": {
            "labels": ["positive", "negative"],
            **{"epochs": 1, "batch_size": 12, "max_length": 128},
        },
        "runs": [str(adapter)],
    }
    (here / "spec.yaml").write_text(yaml.safe_dump(asked))
    outcome = run("compare", "spec.yaml", "-o", "out", *FP32)
    assert outcome.code == 0, outcome.err
    found = json.loads((here / "out/comparison.json").read_text())
    assert [one["name"] for one in found["contenders"]] == ["base", "other", "base-reviews"]
    assert found["labels"] == ["positive", "negative"]
    llama, gpt2, brought = (one["runs"][0] for one in found["contenders"])
    assert llama["parameters"] != gpt2["parameters"]
    assert llama["untuned"] != gpt2["untuned"]
    (cut,) = (here / "out/data").glob("*/texts")
    own = json.loads(run("evaluate", adapter, "--data", cut, *FP32, "--json").out)
    assert (found["rows"], found["left_out"]) == (own["rows"], own["left_out"])
    assert brought["tuned"]["per_class"] == own["results"]["tuned"]["per_class"]


def test_rows_that_another_run_was_validated_on_are_left_out(
    adapter: Path, finished: Work, here: Path
) -> None:
    """Two runs that split one file by other seeds."""
    rows = json.loads((adapter / "rows.json").read_text())
    shutil.copytree(adapter, here / "other")
    moved = {**rows, "validation": rows["test"][:2], "test": rows["validation"]}
    _keep_rows(here / "other", moved)
    alone = compared_rows([adapter], None).selection
    both = compared_rows([adapter, here / "other"], None).selection
    assert len(both.examples) == len(alone.examples) - 2
    assert both.left_out == alone.left_out + 2
    assert "8 rows validated on" in str(both.note)
    moved["validation"] = rows["test"]
    _keep_rows(here / "other", moved)
    with pytest.raises(UserError, match="no rows to compare on"):
        compared_rows([adapter, here / "other"], None)


def _keep_rows(run: Path, rows: dict[str, Any]) -> None:
    """As if a run had been given these rows."""
    (run / "rows.json").write_text(json.dumps(rows))
    description = json.loads((run / "sentilora.json").read_text())
    description["files"]["rows.json"] = sha256(run / "rows.json")
    (run / "sentilora.json").write_text(json.dumps(description))


def test_runs_of_the_same_name_are_two(adapter: Path, finished: Work, here: Path) -> None:
    for folder in ("a", "b"):
        shutil.copytree(adapter, here / folder / "run")
    outcome = run("compare", "--run", "a/run", "--run", "b/run", "-o", "out", *FP32, "--json")
    assert outcome.code == 0, outcome.err
    names = [one["name"] for one in json.loads(outcome.out)["contenders"]]
    assert names == ["a/run", "b/run"]
    assert "same folder" in run("compare", "--run", "a/run", "--run", "a/run").error


def test_finished_runs_beside_each_other(adapter: Path, finished: Work, here: Path) -> None:
    shutil.copytree(adapter, here / "copy")
    outcome = run("compare", "--run", adapter, "--run", "copy", "-o", "out", *FP32, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    (pair, *_) = found["pairs"]
    assert (pair["difference"], pair["p_value"]) == (0.0, 1.0)


def test_on_three_rows(adapter: Path, here: Path) -> None:
    write_csv(here / "few.csv", reviews(3, seed=9))
    outcome = run("compare", "--run", adapter, "--data", "few.csv", "-o", "out", *FP32)
    assert outcome.code == 0, outcome.err
    assert "few, all: 3 rows" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to compare"),
        (("--models", "a", "--variant", "--rnk 1"), "No such option: --rnk"),
        (("--models", "a", "--variant", "--rank x"), "--rank"),
        (("--models", "a", "--options", "--template 'x"), "No closing quotation"),
        (("--models", "a", "--variant", "--seed 3"), "not a variant's own choice"),
        (("--models", "a", "--seeds", "0"), "seeds must be how many"),
        (("--run", "nowhere"), "no finished run"),
        (("spec.yaml", "--models", "a"), "not in both"),
        (("spec.yaml",), "do you mean models?"),
    ],
)
def test_what_cannot_be_compared(arguments: tuple[str, ...], said: str, here: Path) -> None:
    (here / "spec.yaml").write_text("modles: [a]")
    assert said in run("compare", *arguments).error


@pytest.mark.parametrize("output", ["spec.yaml", "spec.yaml/below"])
def test_a_file_where_the_study_should_go(output: str, here: Path) -> None:
    (here / "spec.yaml").write_text("models: [a]")
    assert "spec.yaml is a file" in run("compare", "--models", "a", "-o", output).error


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[PlannedRun]:
    """The runs that would be trained: training is where the command stops."""
    asked: list[PlannedRun] = []

    def train_all(runs: Sequence[PlannedRun]) -> None:
        asked.extend(runs)
        raise UserError("Nothing is trained here.")

    monkeypatch.setattr(training_runs, "train_all", train_all)
    return asked


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--variant", "", "--variant", "--rank 0"), "base, rank 0, seed 0 can't be trained"),
        (("--variant", "", "--variant", "--targets foo"), "Unknown projection 'foo'"),
        (("--variant", "", "--variant", "--template none"), "needs exactly one"),
        (("--variant", "", "--variant", "--max-length 9"), "no room is left for a text"),
        (("--variant", "", "--variant", "--label-column mood"), "'mood'"),
        (
            ("--variant", "", "--variant", "--labels positive=good,negative=bad"),
            "can't be compared",
        ),
        (("--models", "BASE,./nowhere"), "There is no model at ./nowhere"),
        (("--models", "BASE,nowhere"), "The run nowhere, seed 0 can't be trained"),
        (("--run", "ADAPTER", "--options", "--labels positive=good,negative=bad"), "good, bad"),
    ],
)
def test_what_can_be_foreseen_is_said_before_anything_is_trained(
    more: tuple[str, ...],
    said: str,
    data: Path,
    tiny_base: Path,
    adapter: Path,
    untrained: list[PlannedRun],
) -> None:
    (data.parent / "set").mkdir()
    for seed, split in enumerate(("train", "validation", "test")):
        write_csv(data.parent / "set" / f"{split}.csv", reviews(20, seed=seed))
    named = {"BASE": str(tiny_base), "ADAPTER": str(adapter)}
    words = [re.sub("BASE|ADAPTER", lambda found: named[found[0]], word) for word in more]
    outcome = run("compare", "--models", tiny_base, "--data", "set", *FP32, *words)
    assert said in outcome.error
    assert untrained == []


def test_runs_of_one_name_are_trained_in_one_way(
    data: Path, tiny_base: Path, adapter: Path, untrained: list[PlannedRun]
) -> None:
    """A run that is there from a version with other defaults isn't one seed among others."""
    older = data.parent / "out/runs/base-seed0"
    older.mkdir(parents=True)
    config = json.loads((adapter / "run.json").read_text())
    config["training"]["learning_rate"] = 0.5
    (older / "run.json").write_text(json.dumps(config))
    outcome = run(
        *("compare", "--models", tiny_base, "--data", "reviews.csv", "--seeds", 2, "-o", "out"),
        *("--options", shlex.join(TRAINING)),
    )
    assert "learning_rate 0.5 and 0.001" in outcome.error
    assert untrained == []
    both = [PlannedRun("base", 0, older, {}), PlannedRun("base", 1, adapter, {})]
    (note,) = same_settings.notes(both)
    assert note == "The runs of base differ in more than their seeds: learning_rate 0.5 and 0.001."
    assert same_settings.notes([replace(one, contender=str(one.folder)) for one in both]) == []


def test_rows_that_are_cut_keep_the_order_of_their_labels(
    here: Path, tiny_base: Path, untrained: list[PlannedRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Hub set's classes have an order, which its rows by themselves don't tell."""
    names = ("World", "Sports", "Business")
    rows = [RawRow("train", n + 1, f"text {n}", names[n % 3]) for n in range(60)]
    news = RawData("news", "news", {"train": rows}, class_names=names)
    ours = load.read_source
    monkeypatch.setattr(
        load, "read_source", lambda spec, options: news if spec == "news" else ours(spec, options)
    )
    assert "Nothing is trained" in run("compare", "--models", tiny_base, "--data", "news").error
    (planned,) = untrained
    asked = dict(planned.options or {})
    assert asked["data"] != "news"
    assert load_data(asked["data"], data_options(asked)).labels == names


def test_a_run_that_fails_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(UserError, match="The run tiny, seed 3 ended with code 1"):
        training_runs.train_all([PlannedRun("tiny", 3, here / "run", {"rank": 1})])

"""`sentilora behaviour`: an adapter's failures by capability, and its accuracy by wording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import Outcome, run
from samples import reviews, write_csv

from sentilora import load
from sentilora.behaviour import Case

FP32 = ("--dtype", "float32", "--device", "cpu")

SUITE = (
    Case("praise", "minimum", "the film was good and warm", label="positive"),
    Case("praise", "minimum", "the film was bad and cold", label="negative"),
    Case("praise", "minimum", "the film lasts an hour", label="mixed"),
    Case(
        "shouting", "invariance", "the book was dull", ("THE BOOK WAS DULL", "the book was dull!")
    ),
    Case(
        "shouting", "direction", "a game", ("a good game", "a fine game"), "positive", "rise", 0.0
    ),
    Case("shouting", "direction", "a meal", ("a bad meal",), "negative", "not fall", 0.3),
)


@pytest.fixture
def suite(here: Path) -> Path:
    lines = [json.dumps(case.to_dict()) for case in SUITE]
    (here / "mine.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path("mine.jsonl")


def behaviour(*arguments: object) -> Outcome:
    outcome = run("behaviour", *arguments, *FP32)
    assert outcome.code == 0, outcome.err
    return outcome


def as_json(*arguments: object) -> dict[str, Any]:
    return json.loads(behaviour(*arguments, "--json").out)


def test_a_users_suite_is_judged_by_what_predict_says(adapter: Path, suite: Path) -> None:
    found = as_json(adapter, "--suite", suite, "--no-bundled")
    assert found["wordings"] is None
    assert found["suite"]["lacking"] == {"mixed": 1}
    counts = {(g["capability"], g["kind"]): g["cases"] for g in found["suite"]["groups"]}
    assert counts == {
        ("praise", "minimum"): 2,
        ("shouting", "invariance"): 1,
        ("shouting", "direction"): 2,
    }
    classifier = load(adapter, device="cpu", dtype="float32")
    praise = found["suite"]["groups"][0]
    said = classifier.predict([case.text for case in SUITE[:2]])
    assert praise["failures"] == sum(
        label != case.label for label, case in zip(said, SUITE[:2], strict=True)
    )
    before, *after = classifier.predict_proba(list(SUITE[4].texts))[:, 1]
    risen = all(share > before for share in after)
    direction = found["suite"]["groups"][2]
    assert any(failed["case"]["text"] == "a game" for failed in direction["failed"]) is not risen


def test_the_bundled_cases_are_there_by_default(adapter: Path, suite: Path) -> None:
    outcome = behaviour(adapter, "--suite", suite, "--examples", 1)
    for part in ("Behaviour: ", "negation", "irony", "control tokens", "praise", "shouting"):
        assert part in outcome.out
    assert "neutral (20), mixed (1)" in " ".join(outcome.out.split())
    assert max(map(len, outcome.out.splitlines())) <= 80
    lines = outcome.out.splitlines()
    assert sum("expected" in line and "got" in line for line in lines) <= 8  # one a minimum group
    told = behaviour(adapter, "--examples", 0).out
    assert "expected" not in told
    assert "praise" not in told


def test_texts_that_are_cut_are_counted(adapter: Path, here: Path) -> None:
    long = Case("length", "invariance", "good " * 200, ("good " * 201, "good"))
    (here / "long.jsonl").write_text(json.dumps(long.to_dict()) + "\n", encoding="utf-8")
    arguments = (adapter, "--suite", "long.jsonl", "--no-bundled")
    assert as_json(*arguments)["suite"]["shortened"] == 2
    assert "longer than the model reads, of which it saw a part: 2." in behaviour(*arguments).out


def test_wordings_on_the_runs_own_rows(adapter: Path) -> None:
    asked = ("--wordings", "--no-bundled", "--wording", "Like it? {text}\\nnegative or positive:")
    found = as_json(adapter, *asked)
    assert found["suite"] is None
    told = found["wordings"]
    assert (told["split"], told["rows"], told["of"]) == ("held-out", 6, 6)
    own, *others = told["wordings"]
    frozen = json.loads((adapter / "sentilora.json").read_text())
    assert own["template"] == frozen["task"]["template"]
    assert own["agreement"] == 1
    assert own["accuracy"] == frozen["metrics"]["evaluation"]["results"]["tuned"]["accuracy"]
    assert [each["origin"] for each in others].count("given") == 2
    assert others[-2]["template"] == "Like it? {text}\nnegative or positive:"
    assert others[-1]["template"] == "Like it? {text}\npositive or negative:"
    for each in told["wordings"]:
        for share in ("accuracy", "agreement"):
            low, high = each[f"{share}_interval"]
            assert 0 <= low <= each[share] <= high <= 1

    out = " ".join(behaviour(adapter, *asked).out.split())
    assert "The adapter itself keeps its own wording" in out
    assert "yours, labels reversed" in out


def test_a_wording_is_asked_as_a_model_of_that_wording_would_be(adapter: Path, here: Path) -> None:
    from dataclasses import replace

    from sentilora.classifier import Classifier
    from sentilora.encoding import PromptEncoder
    from sentilora.scoring import LabelScorer

    rows = reviews(30, seed=4)
    write_csv(here / "new.csv", rows)
    template = "{text} -- verdict:"
    asked = ("--no-bundled", "--wording", template, "--data", "new.csv")
    last = as_json(adapter, *asked)["wordings"]["wordings"][-1]
    own = load(adapter, device="cpu", dtype="float32")
    task = replace(own.task, template=template)
    encoder = PromptEncoder(task, own.scorer.encoder.tokenizer)
    other = Classifier(LabelScorer(own.scorer.model, encoder), own.base)
    texts, gold = zip(*rows, strict=True)
    said = other.predict(list(texts))
    assert last["accuracy"] == pytest.approx((said == list(gold)).mean())
    assert last["agreement"] == pytest.approx((said == own.predict(list(texts))).mean())


def test_rows_are_drawn_alike_each_time(adapter: Path, here: Path) -> None:
    write_csv(here / "new.csv", reviews(40, seed=5))
    asked = (adapter, "--no-bundled", "--wordings", "--data", "new.csv", "--rows", 15)
    first = as_json(*asked)
    assert (first["wordings"]["rows"], first["wordings"]["of"]) == (15, 40)
    assert as_json(*asked) == first
    assert "15 rows of 40, drawn at random" in behaviour(*asked).out


def test_what_cannot_be_asked_is_said_before_the_base_is_looked_for(
    adapter: Path, suite: Path, here: Path
) -> None:
    (here / "odd.jsonl").write_text('{"kind": "minimum"}\n', encoding="utf-8")
    other = {**SUITE[2].to_dict()}
    (here / "other.jsonl").write_text(json.dumps(other) + "\n", encoding="utf-8")
    for arguments, said in (
        (["--suite", "odd.jsonl"], "odd.jsonl, line 1: There is no capability"),
        (["--suite", "gone.jsonl"], "gone.jsonl can't be read"),
        (["--suite", "other.jsonl", "--no-bundled"], "they expect mixed"),
        (["--no-bundled"], "nothing to check"),
        (["--data", "new.csv"], "Add --wordings"),
        (["--rows", "9"], "Add --wordings"),
        (["--wording", "no field"], '--wording "no field": The template holds no {text} field'),
        (["--wordings", "--split", "dev"], "no dev split"),
        (["--wordings", "--data", "gone.csv"], "There is no file 'gone.csv'"),
    ):
        message = run("behaviour", adapter, *arguments, "--model", "./gone").error
        assert said in message

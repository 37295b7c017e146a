"""`sentilora explain`: of a text, of lines, and its check on rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import CACHE, on_terminal, run
from samples import reviews, write_csv

FP32 = ("--dtype", "float32")
TEXT = "the film was good and fine but long"
HOSTILE = "a \x1b]0;owned\x07 film \x9b2J \x1bc [bold]that[/] is \u202eevil"


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def classifier(adapter: Path) -> Any:
    import sentilora

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTILORA_CACHE", str(CACHE))
        return sentilora.load(adapter, dtype="float32")


@pytest.mark.parametrize("method", ["occlusion", "gradients"])
@pytest.mark.parametrize("label", [None, "negative", "positive"])
def test_json_is_what_python_says(
    adapter: Path, classifier: Any, method: str, label: str | None
) -> None:
    from sentilora.attribution import attribute

    options = ("--method", method, *(("--label", label) if label else ()))
    outcome = run("explain", adapter, TEXT, "--json", *options, *FP32)
    assert (outcome.code, outcome.err) == (0, "")
    [found] = lines(outcome.out)
    expected = attribute(classifier, TEXT, label, method).to_dict()
    assert [word.pop("score") for word in found["words"]] == pytest.approx(
        [word.pop("score") for word in expected["words"]], abs=1e-4
    )
    deletion = found.pop("deletion")
    assert len(deletion["named"]) == 2  # of 8 words
    for name in ("log_odds", "probability", "residual"):
        assert found.pop(name) == pytest.approx(expected.pop(name), abs=1e-4)
    assert found == expected
    assert classifier.predict([TEXT])[0] == found["chosen"]


def test_a_text_is_shown_with_its_strongest_words(adapter: Path, classifier: Any) -> None:
    from sentilora.attribution import attribute

    outcome = run("explain", adapter, TEXT, *FP32)
    assert (outcome.code, outcome.err) == (0, "")
    attribution = attribute(classifier, TEXT)
    shown = outcome.out.splitlines()
    assert shown[0].startswith(f"{attribution.label} {100 * attribution.probability:.1f} %")
    assert TEXT in shown
    table = [line.split() for line in shown]
    for k, score in enumerate(attribution.scores):
        assert [attribution.words[k].text, str(k + 1), f"{score:+.2f}"] in table
    assert "without 2 other words at random" in " ".join(outcome.out.split())
    assert max(map(len, shown)) <= 80


def test_lines_of_standard_input(adapter: Path) -> None:
    outcome = run("explain", adapter, "-", "--json", *FP32, stdin=b"fine\n\n\xff\ngood film\n")
    assert outcome.code == 1
    found = lines(outcome.out)
    assert [each["text"] for each in found] == ["fine", "good film"]
    assert [each["deletion"] is None for each in found] == [True, False]
    assert "could not be explained: 2" in outcome.err
    assert "line 2: no text" in outcome.err
    assert "line 3: undecodable" in outcome.err


def test_words_that_were_not_read_are_counted(adapter: Path) -> None:
    text = " ".join(["word"] * 300)
    outcome = run("explain", adapter, text, "--json", *FP32)
    scores = [word["score"] for word in lines(outcome.out)[0]["words"]]
    unread = sum(score is None for score in scores)
    assert 0 < unread < 300
    shown = " ".join(run("explain", adapter, text, *FP32).out.split())
    assert f"too long for this model: {unread} of 300 words" in shown


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_control_character_of_a_text_reaches_the_output(
    adapter: Path, options: tuple[str, ...]
) -> None:
    outcome = run("explain", adapter, HOSTILE, *options, *FP32)
    assert outcome.code == 0
    assert not set(outcome.out) & set("\x1b\x07\x9b\u202e")
    assert "\\u001b]0;owned\\u0007" in outcome.out
    assert "[bold]that[/]" in outcome.out


@pytest.mark.parametrize("command", ["explain", "predict"])
def test_nor_the_terminal(adapter: Path, command: str) -> None:
    code, sent = on_terminal(command, adapter, HOSTILE, *FP32)
    assert code == 0
    assert not set(sent) & set("\x1b\x07\x9b\u202e")
    assert "owned" in sent


def test_the_check_on_rows(adapter: Path, here: Path) -> None:
    write_csv(here / "new.csv", reviews(30, seed=1))
    arguments = ("explain", adapter, "--data", "new.csv", "--rows", "12", *FP32)
    outcome = run(*arguments, "--json")
    found = json.loads(outcome.out)
    assert found["rows"] == 12
    assert found["data"].startswith("new, all")
    gap = found["difference"]
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert gap["value"] == pytest.approx(found["named"] - found["others"])
    assert found["passed"] == (gap["low"] > 0) == (outcome.code == 0)
    again = run(*arguments)
    assert again.code == outcome.code
    assert f"{100 * found['named']:+.1f} points" in again.out
    assert ("Borne out" in again.err) == found["passed"]


def test_figures_for_the_wrong_words_fail_and_say_so(
    adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sentilora.attribution as attribution

    real = attribution.attribute

    def turned(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        return replace(found, scores=tuple(-score for score in found.scores))

    monkeypatch.setattr(attribution, "attribute", turned)
    write_csv(here / "new.csv", reviews(20, seed=1))
    outcome = run("explain", adapter, "--data", "new.csv", *FP32)
    assert outcome.code == 1
    assert "Not borne out" in outcome.err
    assert "points" in outcome.out


def test_what_is_asked_wrongly(adapter: Path, data: Path) -> None:
    assert "--data" in run("explain", adapter).error
    assert "--data" in run("explain", adapter, TEXT, "--data", data).error
    assert "'great'" in run("explain", adapter, TEXT, "--label", "great").error
    assert "is the name of a file" in run("explain", adapter, data).error
    assert "is the name of a file" in run("explain", adapter, "typo.txt").error
    assert run("explain", adapter, TEXT, "--method", "magic").code == 2

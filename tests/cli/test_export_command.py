"""`sentilora export`: another engine's file, which answers as the adapter does, or none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import on_a_full_disk, run
from samples import reviews

pytest.importorskip("onnxscript", reason="needs the extra [export]")

ROWS = [text for text, _ in reviews(60)]


def test_it_answers_as_the_adapter_does(adapter: Path, here: Path) -> None:
    data = adapter.parents[1] / "reviews.csv"
    outcome = run("export", adapter, "--to", "onnx", "-o", "out", "--data", data, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["share"] == 1.0
    assert max(found["largest"], found["mass"], found["canary"]) < 1e-4
    speed: dict[str, Any] = found["speed"]
    files = [path for path in Path("out").iterdir() if path.is_file()]
    assert speed["exported"]["size"] == sum(path.stat().st_size for path in files)
    for one in speed.values():
        assert min(one.values()) > 0
    asked = ("predict", adapter, *ROWS[:8], "--dtype", "float32"), ("predict", "out", *ROWS[:8])
    said = [run(*each) for each in asked]
    one, other = ([json.loads(line) for line in each.out.splitlines()] for each in said)
    assert [row["predicted_label"] for row in one] == [row["predicted_label"] for row in other]
    assert [row["p_positive"] for row in one] == pytest.approx(
        [row["p_positive"] for row in other], abs=1e-4
    )


def test_few_bits_take_less_room_and_are_shown_beside_the_adapter(
    adapter: Path, here: Path
) -> None:
    outcome = run(
        "export", adapter, "--to", "onnx", "--weights", "int4", "--agreement", "0", "-o", "out"
    )
    assert outcome.code == 0, outcome.err
    assert "onnx, int4" in outcome.out
    assert "texts/s" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "The export is in out" in outcome.err


def test_what_disagrees_too_often_is_not_kept(
    adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentilora.export.onnx.scorer import OnnxScorer

    right = OnnxScorer.score

    def wrong(self: OnnxScorer, *arguments: Any) -> Any:
        found = right(self, *arguments)
        return replace(found, log_probs=found.log_probs[:, ::-1])

    monkeypatch.setattr(OnnxScorer, "score", wrong)
    outcome = run("export", adapter, "--to", "onnx", "-o", "out")
    assert "not kept" in outcome.error
    assert "Rows with another label" in outcome.err
    assert list(here.iterdir()) == []


def test_a_full_disk_leaves_nothing_half_written(adapter: Path, here: Path) -> None:
    assert (
        "can't be written" in on_a_full_disk("export", adapter, "--to", "onnx", "-o", "out").error
    )
    assert list(here.iterdir()) == []


def test_a_base_that_cannot_be_written_so_is_not_loaded(
    adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentilora.export.gguf import asking, layout

    monkeypatch.setattr(asking, "find_spec", lambda name: 1)
    others = {name: one for name, one in layout.LAYOUTS.items() if name != "llama"}
    monkeypatch.setattr(layout, "LAYOUTS", others)
    monkeypatch.setattr("sentilora.classifier.load", lambda *given, **options: 1 / 0)
    error = run("export", adapter, "--to", "gguf", "-o", "out").error
    assert "'llama' model can't be written as GGUF" in error


def test_what_cannot_be_is_said_at_once(
    adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = run("export", adapter, "--to", "tflite", "-o", "out").error
    assert "no form 'tflite'; choose onnx, gguf" in error
    error = run("export", adapter, "--to", "onnx", "--weights", "int3", "-o", "out").error
    assert "no 'int3' weights" in error
    assert "int8-weights, int8, int4" in error
    (here / "taken").mkdir()
    (here / "taken" / "mine").write_text("1")
    assert "is there already" in run("export", adapter, "--to", "onnx", "-o", "taken").error
    monkeypatch.setattr(
        "sentilora.export.onnx.form.find_spec", lambda name: None if name == "onnx" else 1
    )
    error = run("export", adapter, "--to", "onnx", "-o", "out").error
    assert "pip install 'sentilora[export]'" in error
    assert sorted(path.name for path in here.iterdir()) == ["taken"]

"""`sentilora merge`: a model for stock transformers, which answers as the adapter does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command import on_a_full_disk, run
from samples import TRAINING, Work, reviews

from sentilora import classifier, devices
from sentilora.artifact import Artifact, RowHashes
from sentilora.errors import NoRoom
from sentilora.export import merged as export
from sentilora.export.asking import rows_for

ROWS = [text for text, _ in reviews(60)]


def stock(folder: Path, prompts: list[str]) -> list[str]:
    """What stock transformers generates, greedily, one token after each plain prompt string."""
    from transformers import pipeline

    generate = pipeline("text-generation", model=str(folder), dtype=torch.float32)
    said = [
        generate(prompt, max_new_tokens=1, do_sample=False, return_full_text=False)
        for prompt in prompts
    ]
    return [each[0]["generated_text"] for each in said]


def merged(*arguments: object) -> dict[str, Any]:
    outcome = run("merge", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_it_answers_as_the_adapter_does(adapter: Path, here: Path) -> None:
    found = merged(adapter, "-o", "merged", "--data", adapter.parents[1] / "reviews.csv")
    assert found["share"] == 1.0
    assert max(found["largest"], found["mass"], found["canary"]) < 1e-4
    assert found["accuracy"]["adapter"] == found["accuracy"]["exported"]
    said = [run("predict", place, *ROWS[:8], "--dtype", "float32") for place in (adapter, "merged")]
    one, other = ([json.loads(line) for line in each.out.splitlines()] for each in said)
    assert [row["predicted_label"] for row in one] == [row["predicted_label"] for row in other]


def test_stock_transformers_reads_it(adapter: Path, here: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from sentilora import load

    merged(adapter, "-o", "merged")
    own = load(adapter, dtype="float32", device="cpu")
    model = AutoModelForCausalLM.from_pretrained("merged", dtype=torch.float32)
    model.requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained("merged")
    task, encoder = own.task, own.scorer.encoder
    expected = own.score(ROWS).log_probs
    assert all(len(ids) == 1 for ids in encoder.label_ids)
    for text, row in zip(ROWS[:10], expected, strict=False):
        ids = tokenizer(task.render(text), return_tensors="pt").input_ids
        logs = model(ids).logits[0, -1].log_softmax(0)
        assert [float(logs[label[0]]) for label in encoder.label_ids] == pytest.approx(
            row.tolist(), abs=1e-4
        )
    greedy = [task.spoken(str(label)) for label in own.predict(ROWS[:6])]
    likeliest = own.score(ROWS[:6]).greedy
    for said, label, certain in zip(
        stock(Path("merged"), [task.render(text) for text in ROWS[:6]]),
        greedy,
        likeliest,
        strict=True,
    ):
        assert said == label or not certain


def test_a_base_with_code_of_its_own_is_merged_with_it(
    tiny_base: Path, data: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(here / "modules"))
    base = shutil.copytree(tiny_base, here / "base")
    (base / "own.py").write_text(
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
        "class OwnForCausalLM(LlamaForCausalLM):\n    config_class = OwnConfig\n"
    )
    config = json.loads((base / "config.json").read_text())
    auto = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"}
    own = {**config, "model_type": "own", "auto_map": auto}
    (base / "config.json").write_text(json.dumps(own))
    trust = "--trust-remote-code"
    done = run("train", "--model", "base", "--data", data, *TRAINING, "-o", "run", trust)
    assert done.code == 0, done.err
    assert merged("run", "-o", "merged", trust)["share"] == 1.0
    assert run("predict", "merged", "fine", trust).code == 0
    assert "trust_remote_code" in run("predict", "merged", "fine").err


def test_several_adapters_are_combined_first(adapter: Path, here: Path) -> None:
    shutil.copytree(adapter, here / "other")
    combined = ("--with", "other", "--weights", "0.25,0.75")
    outcome = run("merge", adapter, *combined, "-o", "both", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["share"] == 1.0
    assert "Its probabilities aren't calibrated and it makes no label sets" in outcome.err
    assert "combined from several" in run("predict", "both", "fine", "--coverage", "0.9").error
    outcome = run("merge", adapter, "--with", "other", "--weights", "1", "-o", "again")
    assert "must be 2 numbers" in outcome.error
    assert not Path("again").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--weights 1", "Name the others with --with"),
        ("--method ties", "Name the others with --with"),
        ("--density 0.5", "Name the others with --with"),
        ("--with missing --density 0.5", "--density is for TIES and DARE"),
        ("--with missing --method mean", "no method 'mean'"),
        ("--with missing --method ties --density 2", "density of 2.0 can't be"),
    ],
)
def test_how_to_combine_is_checked_before_anything_is_read(
    here: Path, options: str, message: str
) -> None:
    assert message in run("merge", "no-run", "-o", "merged", *options.split()).error


def test_a_merge_that_would_lose_is_not_kept(adapter: Path, here: Path, finished: Work) -> None:
    (here / "taken").mkdir()
    (here / "taken" / "mine").write_text("1")
    assert "is there already" in run("merge", adapter, "-o", "taken").error
    assert (here / "taken" / "mine").read_text() == "1"
    assert "no dtype 'int8'" in run("merge", adapter, "-o", "new", "--dtype", "int8").error
    assert sorted(path.name for path in here.iterdir()) == ["taken"]


def test_what_disagrees_is_shown_and_not_kept(
    adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = export.load_merged

    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        score = found.score
        found.score = lambda *rows, **more: replace(  # type: ignore[method-assign]
            score(*rows, **more), log_probs=score(*rows, **more).log_probs[:, ::-1]
        )
        return found

    monkeypatch.setattr(export, "load_merged", wrong)
    outcome = run("merge", adapter, "-o", "merged", "--dtype", "bfloat16")
    assert "Keep more digits with --dtype float32, or accept it" in outcome.error
    assert "Rows with another label" in outcome.err
    assert list(here.iterdir()) == []


def test_what_does_not_fit_the_gpu_is_done_on_the_cpu(
    adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_the_cpu_alone(action: Any) -> Any:
        def act(*arguments: Any, **options: Any) -> Any:
            if options["device"] != "cpu":
                raise NoRoom("no more")
            return action(*arguments, **options)

        return act

    for module, name in ((classifier, "load"), (export, "load_merged")):
        monkeypatch.setattr(module, name, on_the_cpu_alone(getattr(module, name)))
    monkeypatch.setattr(devices, "resolve_device", lambda device: "cuda")
    outcome = run("merge", adapter, "-o", "merged")
    assert outcome.code == 0, outcome.err
    said = " ".join(outcome.err.split())
    assert "The adapter takes more memory than there is on cuda" in said
    assert "The merged model takes more memory than there is on cuda" in said
    assert "texts/s" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_the_sum_is_left_to_be_summed_on_the_cpu(
    adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much room another device had for being asked."""
    right, places = classifier.load, []

    def elsewhere(*arguments: Any, **options: Any) -> Any:
        places.append((options["device"], options["dtype"]))
        return right(*arguments, **{**options, "device": "cpu"})

    monkeypatch.setattr(classifier, "load", elsewhere)
    monkeypatch.setattr(devices, "resolve_device", lambda device: "cuda")
    merged_on = []
    load = export.load_merged

    def merged_elsewhere(*arguments: Any, **options: Any) -> Any:
        merged_on.append((options["device"], options["dtype"]))
        return load(*arguments, **{**options, "device": "cpu"})

    monkeypatch.setattr(export, "load_merged", merged_elsewhere)
    assert merged(adapter, "-o", "merged", "--dtype", "float16")["kept"] > 0.9
    assert places == [("cuda", "float32"), ("cpu", "float32")]
    assert merged_on == [("cuda", "float16")]


def test_rows_that_any_adapter_was_trained_on_are_left_out(adapter: Path) -> None:
    whole = rows_for(adapter, None, 2000)
    assert len(whole.texts) > 1
    artifact = Artifact.read(adapter)
    seen = RowHashes.of(train=whole.texts[:1], validation=[], test=[])
    other = replace(artifact, rows=seen)
    assert rows_for(adapter, None, 2000, [other]).texts == whole.texts[1:]


def test_an_adapter_without_its_run_is_asked_what_is_named(adapter: Path, here: Path) -> None:
    shutil.copytree(adapter, here / "published")
    (here / "published" / "run.json").unlink()
    assert "with --data" in run("merge", "published", "-o", "merged").error
    assert "with --data" in run("evaluate", "published").error
    found = merged("published", "-o", "merged", "--data", adapter.parents[1] / "reviews.csv")
    assert found["share"] == 1.0


def test_a_changed_file_is_told(adapter: Path, here: Path) -> None:
    merged(adapter, "-o", "merged")
    with Path("merged/model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x01\x02\x03\x04")
    assert "was changed after it was exported" in run("predict", "merged", "fine").error


def test_a_full_disk_leaves_nothing_half_written(adapter: Path, here: Path) -> None:
    assert "can't be written" in on_a_full_disk("merge", adapter, "-o", "merged").error
    assert list(here.iterdir()) == []


def test_what_is_merged_is_not_merged_again(adapter: Path, here: Path) -> None:
    merged(adapter, "-o", "merged")
    for option in (["--merge"], ["--model", "elsewhere"]):
        assert "nothing to merge" in run("predict", "merged", "fine", *option).error

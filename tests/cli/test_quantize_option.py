"""`--quantize`, as its users give it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import run
from samples import TRAINING, Work, reviews, write_csv

from quantised import needs_bitsandbytes, write_wide
from sentilora.errors import UserError

pytestmark = needs_bitsandbytes

_FP32 = ("--dtype", "float32")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A folder with a GPT-2 of width 64, tuned in 4 bits; never to be changed."""
    work = Work(tmp_path_factory.mktemp("tuned"))
    write_wide(work.folder / "base", "gpt2", mild=True)
    write_csv(work.folder / "reviews.csv", reviews(60))
    asked = ("train", "--model", "base", "--data", "reviews.csv", "--quantize", "nf4", *TRAINING)
    outcome = run(*asked, "-o", "run", cwd=work.folder)
    assert outcome.code == 0, outcome.err
    work.outcomes[Path("run")] = outcome
    return work


def test_training_says_what_is_in_4_bits_and_what_is_not(tuned: Work) -> None:
    said = " ".join(tuned.outcomes[Path("run")].err.split())
    # 2 x (64 x 192 + 64 x 64 + 2 x 64 x 256) numbers
    assert "8 weights in nf4: 0.1 MB, in float32 0.4 MB" in said
    assert "in float32 still: wte, wpe, 2 ln_1, 2 ln_2, ln_f, lm_head, and the biases" in said
    described = json.loads((tuned.folder / "run/sentilora.json").read_text())
    assert described["base"]["quantized"] == described["canary"]["quantized"] == "nf4"
    assert "held in nf4" in (tuned.folder / "run/README.md").read_text()


def test_a_dry_run_says_it(tuned: Work) -> None:
    asked = ("--model", "base", "--data", "reviews.csv", "--quantize", "int8", *TRAINING)
    outcome = run("train", *asked, "--dry-run", cwd=tuned.folder)
    assert "Base: 8 weights in int8" in outcome.out


def test_a_finished_run_is_asked_on_its_base_as_it_was_tuned(tuned: Work) -> None:
    answers = [
        run("predict", "run", "a fine film", *_FP32, *options, cwd=tuned.folder)
        for options in ((), ("--quantize", "nf4"), ("--quantize", "none"))
    ]
    assert [each.code for each in answers] == [0, 0, 0], answers[-1].err
    tuned_so, four, whole = (json.loads(each.out)["p_positive"] for each in answers)
    assert tuned_so == four != whole


def test_an_unknown_kind_is_refused_before_anything_is_read(tuned: Work) -> None:
    outcome = run("train", "--data", "nowhere.csv", "--quantize", "int4", cwd=tuned.folder)
    assert outcome.error == "Error: There is no quantisation 'int4'; do you mean nf4?"


def test_a_run_keeps_its_quantisation(tuned: Work) -> None:
    outcome = run("train", "--resume", "run", "--quantize", "int8", cwd=tuned.folder)
    assert "--quantize int8 conflicts" in outcome.error
    assert run("train", "--resume", "run", "--quantize", "nf4", cwd=tuned.folder).code == 0


def test_merging_shows_what_leaving_the_4_bits_changes(tuned: Work, tmp_path: Path) -> None:
    asked = ("merge", "run", "-o", tmp_path / "merged", "--agreement", "0", "--json")
    outcome = run(*asked, cwd=tuned.folder)
    assert outcome.code == 0, outcome.err
    assert "tuned on its base in nf4" in " ".join(outcome.err.split())
    assert json.loads(outcome.out)["largest"] > 1e-3  # merged in fp32 alone it is rounding
    assert run("predict", "run", "a film", "--merge", cwd=tuned.folder).error.count(
        "--quantize none"
    )


def test_merging_takes_no_bitsandbytes(
    tuned: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(kind: str, device: str) -> None:
        raise UserError("bitsandbytes can't be imported.")

    monkeypatch.setattr("sentilora.bases.quantization.check_available", fail)
    monkeypatch.setattr("sentilora.bases.loading.check_available", fail)
    asked = ("merge", "run", "-o", tmp_path / "merged", "--dtype", "float32", "--json")
    outcome = run(*asked, cwd=tuned.folder)
    assert outcome.code == 0, outcome.err
    assert "What that changes isn't shown" in " ".join(outcome.err.split())
    assert json.loads(outcome.out)["largest"] < 1e-3


def test_comparing_kinds(tuned: Work, tmp_path: Path) -> None:
    variants = ("--variant", "", "--variant", "--quantize nf4")
    outcome = run(
        *("compare", "--models", "base", "--data", "reviews.csv", *variants, "--json"),
        *(
            "--options",
            " ".join(TRAINING),
            *_FP32,
            "--device",
            "cpu",
            "-o",
            tmp_path / "comparison",
        ),
        cwd=tuned.folder,
    )
    assert outcome.code == 0, outcome.err
    measured = [
        json.loads(p.read_text())["measured"] for p in (tmp_path / "comparison/measured").iterdir()
    ]
    assert len(measured) == 2
    first, second = (each["untuned"] for each in measured)
    assert first != second  # the untuned base is asked in both

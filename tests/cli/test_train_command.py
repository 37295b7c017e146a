"""`sentilora train`: a run from data to adapter, dry runs, and runs that are gone on with."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from command import Outcome, on_terminal, run
from samples import TRAINING, Work, reviews, write_csv

WEIGHTS = "adapter_model.safetensors"
OF_AN_ADAPTER = [
    "README.md",
    "adapter_config.json",
    WEIGHTS,
    "rows.json",
    "run.json",
    "sentilora.json",
]
SPLITS = (["train"], ["validation"], ["test"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_says_what_it_does_measures_and_tells_how_to_go_on(finished: Work) -> None:
    outcome = finished.outcomes[Path("runs/base-reviews")]
    assert outcome.code == 0, outcome.err
    for said in (
        "reviews has no validation and no test split: 6 rows for validation and 6 rows for test",
        "base on cpu, float32",
        "48 train, 6 validation, 6 test rows; labels negative, positive",
        "rank 8 on query, value: 1,792 of ",
        "more than 1 %",
        "given: max length 128, epochs 2, batch size 12\n",
        "default for 6 validation rows: select last\n",
        "default: long texts ends, rank 8, alpha 32, dropout 0.1, targets query and value, ",
        "Training 2 x 48 rows in 8 steps of 12",
        "untuned",
        "step 4",
        "step 8",
        "training: 8/8 steps (100%)",
        "sentilora train --resume runs/base-reviews",
        'sentilora predict runs/base-reviews "a moving, beautifully shot film"',
        "sentilora evaluate runs/base-reviews",
    ):
        assert said in outcome.err
    for result in ("reviews, test: 6 rows", "tuned", "untuned base", "TF-IDF", "majority class"):
        assert result in outcome.out
    assert "sentilora" not in outcome.out  # results alone
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_the_folder_holds_the_adapter_and_nothing_else(finished: Work) -> None:
    assert names(finished.folder / "runs/base-reviews") == OF_AN_ADAPTER
    assert names(finished.folder / "runs") == ["base-reviews"]


def test_rows_that_are_cut_are_counted(tiny_base: Path, here: Path) -> None:
    rows = [
        (f"{text} {'and so on ' * 100 * (n % 3 == 0)}", label)
        for n, (text, label) in enumerate(reviews(30))
    ]
    write_csv(here / "long.csv", rows)
    options = ("--epochs", "1", "--long-texts", "beginning")
    outcome = run("train", "--model", tiny_base, "--data", "long.csv", *TRAINING, *options)
    assert outcome.code == 0, outcome.err
    found = re.search(r"(\d+) of (\d+) texts are too long for a prompt of 128 tokens", outcome.err)
    assert found is not None
    evaluation = json.loads(Path("runs/base-long/sentilora.json").read_text())["metrics"][
        "evaluation"
    ]
    assert int(found[1]) + evaluation["texts_cut"] == 10
    assert int(found[2]) + evaluation["rows"] == 30
    assert "the beginning of each was read" in outcome.err


def test_the_next_run_gets_the_next_number(tiny_base: Path, data: Path) -> None:
    (data.parent / "runs/base-reviews").mkdir(parents=True)
    outcome = run("train", "--model", tiny_base, "--data", data, *TRAINING, "--epochs", "1")
    assert outcome.code == 0
    assert names(Path("runs")) == ["base-reviews", "base-reviews-2"]
    assert names(Path("runs/base-reviews-2")) == OF_AN_ADAPTER


def test_a_folder_of_files_gives_its_own_splits(tiny_base: Path, here: Path) -> None:
    folder = here / "My set"
    folder.mkdir()
    for split, count in (("train", 24), ("validation", 8), ("test", 10)):
        write_csv(folder / f"{split}.csv", reviews(count, seed=count), "Review,Sentiment")
    outcome = run(
        "train", "--model", tiny_base, "--data", folder, *TRAINING, "--epochs", "1", "--rank", "2"
    )
    assert outcome.code == 0, outcome.err
    assert "24 train, 8 validation, 10 test rows" in outcome.err
    assert "My set, test: 10 rows" in outcome.out
    assert names(here / "runs") == ["base-my-set"]  # can be pasted behind a command


def test_three_labels_of_several_tokens(tiny_base: Path, here: Path) -> None:
    labels = ("very bad", "neither good nor bad", "very good")
    meaning = ",".join(f"{number}={label}" for number, label in enumerate(labels, start=1))
    rows = [(text, str(1 + n % 3)) for n, (text, _) in enumerate(reviews(60))]
    write_csv(here / "stars.csv", rows, "text,stars")
    trained = run(
        *("train", "--model", tiny_base, "--data", "stars.csv", "--labels", meaning),
        *(*TRAINING, "--epochs", "1", "-o", "out"),
    )
    assert trained.code == 0, trained.err
    assert f"labels {', '.join(labels)}" in trained.err

    predicted = run("predict", "out", "stars.csv", "--dtype", "float32")
    assert predicted.code == 0, predicted.err
    lines = [json.loads(line) for line in predicted.out.splitlines()]
    assert len(lines) == 60
    for line in lines:
        shares = [line[f"p_{label}"] for label in labels]
        assert sum(shares) == pytest.approx(1, abs=1e-6)
        assert line["predicted_label"] == labels[shares.index(max(shares))]

    measured = run("evaluate", "out", "--json", "--dtype", "float32")
    assert json.loads(measured.out)["labels"] == list(labels)


# Dry runs.


@pytest.fixture(scope="session")
def dry_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Of rows two of which are too long."""
    folder = tmp_path_factory.mktemp("dry")
    long = [(" ".join(["word"] * 200) + f" {n}", "negative") for n in range(2)]
    write_csv(folder / "reviews.csv", [*reviews(60), *long])
    outcome = run(
        *("train", "--model", tiny_base, "--data", "reviews.csv", "--dry-run", *TRAINING),
        *("--max-length", "90"),
        cwd=folder,
    )
    assert names(folder) == ["reviews.csv"]
    return outcome


def test_a_dry_run_shows_a_prompt_with_its_label(dry_run: Outcome) -> None:
    assert dry_run.code == 0, dry_run.err
    prompt = (
        "Classify the sentiment of the text as negative or positive.\n\nText: the",
        "\nSentiment: positive\n",
    )
    assert all(part in dry_run.out for part in prompt)


def test_a_dry_run_shows_the_tokens_and_which_carry_loss(
    dry_run: Outcome, tiny_tokenizer: object
) -> None:
    instruction = "Classify the sentiment of the text as negative or positive.\n\nText:"
    ids = tiny_tokenizer(instruction).input_ids  # type: ignore[operator]
    label = tiny_tokenizer(" positive").input_ids  # type: ignore[operator]
    for index in (*ids, *label):
        assert f"/{index} " in dry_run.out + " " or f"/{index}\n" in dry_run.out
    assert f"{len(ids)} shared with every row, " in dry_run.out
    assert f" of this row, {len(label)} with loss" in dry_run.out


def test_a_dry_run_counts_labels_and_truncated_rows(dry_run: Outcome) -> None:
    lines = [line.split() for line in dry_run.out.splitlines()]
    head = next(line for line in lines if line[:1] == ["split"])
    assert head == ["split", "negative", "positive", "rows", "tokens,", "longest", "truncated"]
    counted = [list(map(int, line[1:])) for line in lines if line[:1] in SPLITS and len(line) == 6]
    assert len(counted) == len(SPLITS)
    for negative, positive, rows, longest, _ in counted:
        assert negative + positive == rows
        assert longest < 90
    assert sum(counts[2] for counts in counted) == 62
    assert sum(counts[4] for counts in counted) == 2


def test_a_dry_run_shows_labels_as_they_are(tiny_base: Path, here: Path) -> None:
    marked = {"negative": "[spam]", "positive": "[/spam]"}
    write_csv(here / "mail.csv", [(text, marked[label]) for text, label in reviews(60)])
    outcome = run("train", "--model", tiny_base, "--data", "mail.csv", "--dry-run", *TRAINING)
    assert outcome.code == 0, outcome.err
    head = next(line for line in outcome.out.splitlines() if line.startswith("split"))
    assert set(marked.values()) <= set(head.split())


def test_a_dry_run_shows_what_would_be_trained(dry_run: Outcome) -> None:
    assert "1,792 of " in dry_run.out
    assert "rank 8 on query, value" in dry_run.out
    assert "Modules: q_proj, v_proj" in dry_run.out
    assert "Settings, default for 6 validation rows: select last\n" in dry_run.out
    assert "Nothing was trained or written." in dry_run.out


def test_settings_that_were_not_given_go_by_the_number_of_rows(tiny_base: Path, data: Path) -> None:
    outcome = run(
        *("train", "--model", tiny_base, "--data", data, "--dry-run", "--max-length", "128"),
        *("--learning-rate", "0.002", "--device", "cpu"),
    )
    assert outcome.code == 0, outcome.err
    assert re.search(r"default for 48 rows: epochs \d+, batch size \d+\n", outcome.out)
    assert "Settings, given: max length 128, learning rate 0.002\n" in outcome.out
    assert "Settings, worded for these labels: template Classify the sentiment" in outcome.out


def test_a_dry_run_through_the_chat_template(tiny_base: Path, data: Path) -> None:
    outcome = run(
        *("train", "--model", tiny_base, "--data", data, "--dry-run", "--chat-template"),
        *("--template", "Good or bad?\\n{text}", *TRAINING),
    )
    assert outcome.code == 0, outcome.err
    assert "<|im_start|>user\nGood or bad?\nthe " in outcome.out
    assert "<|im_end|>\n<|im_start|>assistant\n" in outcome.out


# Going on.


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(interrupted: Work) -> None:
    outcome = interrupted.outcomes[Path("run")]
    assert outcome.code == 130, outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    *_, stopped, command = outcome.err.splitlines()
    assert command == "  sentilora train --resume run"
    assert stopped.startswith("Stopped after step ")
    step = int(stopped.split()[3])
    saved = names(interrupted.folder / "run/checkpoints")
    assert saved[-1].startswith(f"step-{step:06d}")
    assert names(interrupted.folder / "run") == ["checkpoints", "run.json"]


def test_nothing_but_our_own_words_is_on_the_terminal(interrupted: Work) -> None:
    # In a process of its own: pytest would keep warnings from being printed.
    err = interrupted.outcomes[Path("run")].err
    assert "Warning" not in err
    assert "warn" not in err
    for library in ("transformers", "peft", "torch", "huggingface", "site-packages"):
        assert library not in err


@pytest.mark.parametrize("stopped", ["interrupted", "killed"])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    stopped: str, uninterrupted: Path, here: Path, request: pytest.FixtureRequest
) -> None:
    work: Work = request.getfixturevalue(stopped)
    assert work.outcomes[Path("run")].code == {"interrupted": 130, "killed": -9}[stopped]
    # The data is found by its own path, so also from another folder.
    shutil.copytree(work.folder / "run", here / "run")
    outcome = run("train", "--resume", "run")
    assert outcome.code == 0, outcome.err
    assert "going on after step " in outcome.err
    assert names(Path("run")) == OF_AN_ADAPTER
    for name in (WEIGHTS, "adapter_config.json", "rows.json"):
        assert Path("run", name).read_bytes() == (uninterrupted / name).read_bytes()
    now, then = (
        json.loads((folder / "sentilora.json").read_text())
        for folder in (Path("run"), uninterrupted)
    )
    assert now["base"] == then["base"]
    assert now["canary"] == then["canary"]
    assert now["metrics"]["history"] == then["metrics"]["history"]
    assert now["metrics"]["evaluation"] == then["metrics"]["evaluation"]


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    uninterrupted: Path, here: Path
) -> None:
    (here / "run").mkdir()
    shutil.copy(uninterrupted / "run.json", here / "run")
    outcome = run("train", "--resume", "run")
    assert outcome.code == 0, outcome.err
    assert "holds no checkpoint yet" in outcome.err
    assert Path("run", WEIGHTS).read_bytes() == (uninterrupted / WEIGHTS).read_bytes()


def test_a_damaged_checkpoint_is_said_and_the_older_one_used(
    unfinished: Path, uninterrupted: Path
) -> None:
    older, newest = sorted((unfinished / "checkpoints").iterdir())
    weights = newest / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    outcome = run("train", "--resume", unfinished)
    assert outcome.code == 0, outcome.err
    assert f"The checkpoint {newest} is damaged and is not used" in outcome.err
    assert f"going on after step {int(older.name.split('-')[1])}" in outcome.err
    assert (unfinished / WEIGHTS).read_bytes() == (uninterrupted / WEIGHTS).read_bytes()


def test_resuming_a_finished_run_changes_nothing_and_says_what_can_be_done(adapter: Path) -> None:
    before = {path: path.read_bytes() for path in adapter.iterdir()}
    outcome = run("train", "--resume", adapter)
    assert outcome.code == 0
    assert "is finished already" in outcome.err
    assert f"sentilora evaluate {adapter}" in outcome.err
    assert "--resume" not in outcome.err
    assert {path: path.read_bytes() for path in adapter.iterdir()} == before


def test_options_that_agree_may_be_given_again(adapter: Path, tiny_base: Path) -> None:
    agreeing = ("--model", tiny_base, "--targets", "value,query", "--seed", "0", *TRAINING)
    assert run("train", "--resume", adapter, *agreeing).code == 0


def test_the_progress_on_a_terminal_fits_it(tiny_base: Path, data: Path) -> None:
    code, sent = on_terminal(
        "train", "--model", tiny_base, "--data", data, *TRAINING, "--epochs", "15", "-o", "run"
    )
    assert code == 0, sent
    drawn = [line for line in re.split(r"[\r\n]+", sent) if line.startswith("training ")]
    assert any("/60" in line and "ETA " in line and "val " in line for line in drawn)
    assert all(len(line.rstrip()) <= 80 for line in re.split(r"[\r\n]+", sent))

"""What a user can get wrong: exit code 2, one message, no traceback, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command import CACHE, run
from samples import TRAINING, reviews, write_csv

from sentilora.files import sha256

WEIGHTS = "adapter_model.safetensors"


def everything(folder: Path) -> dict[str, bytes | None]:
    """All files below a folder with their contents, and the folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def refused_to_train(here: Path, *arguments: object) -> str:
    """The message of a `sentilora train` that must fail and leave the folder as it was."""
    before = everything(here)
    message = run("train", *TRAINING, *arguments).error
    assert everything(here) == before
    return message


# Data.


@pytest.fixture
def train_on(tiny_base: Path, here: Path) -> Callable[..., str]:
    def refused(data: object, *options: object) -> str:
        return refused_to_train(here, "--model", tiny_base, "--data", data, *options)

    return refused


def test_no_such_file(train_on: Callable[..., str], here: Path) -> None:
    write_csv(here / "reviews.csv", reviews(4))
    message = train_on("review.csv")
    assert "no file 'review.csv'" in message
    assert "'reviews.csv'" in message  # that is there


def test_no_such_name_anywhere(train_on: Callable[..., str]) -> None:
    message = train_on("someone/nothing")
    assert "'someone/nothing'" in message
    assert "Hub cannot be reached" in message


@pytest.mark.parametrize("name", ["e.csv", "e.tsv", "e.jsonl", "e.parquet", "e.csv.gz"])
def test_an_empty_file(name: str, train_on: Callable[..., str], here: Path) -> None:
    (here / name).write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")
    message = train_on(name)
    assert name in message
    assert "empty" in message or "no Parquet" in message


def test_a_file_of_a_header_alone(train_on: Callable[..., str], here: Path) -> None:
    write_csv(here / "head.csv", [])
    assert "holds no rows" in train_on("head.csv")


def test_a_missing_column_lists_those_that_there_are(
    train_on: Callable[..., str], here: Path
) -> None:
    write_csv(here / "odd.csv", reviews(9), "words,verdict")
    message = train_on("odd.csv")
    assert "'words', 'verdict'" in message
    assert "--text-column" in message
    message = train_on("odd.csv", "--text-column", "words")
    assert "'words', 'verdict'" in message
    assert "--label-column" in message
    message = train_on("odd.csv", "--text-column", "word", "--label-column", "verdict")
    assert "no column 'word'" in message
    assert "'words'" in message


def test_one_label_only(train_on: Callable[..., str], here: Path) -> None:
    write_csv(here / "one.csv", [row for row in reviews(20) if row[1] == "positive"])
    message = train_on("one.csv")
    assert "one label, 'positive'" in message
    assert "--label-column" in message


def test_a_label_missing_from_validation(train_on: Callable[..., str], here: Path) -> None:
    (here / "set").mkdir()
    write_csv(here / "set/train.csv", reviews(20))
    write_csv(here / "set/validation.csv", [row for row in reviews(9, 1) if row[1] == "positive"])
    message = train_on("set")
    assert "validation split" in message
    assert "'negative'" in message


def test_labels_that_the_data_does_not_have(train_on: Callable[..., str], here: Path) -> None:
    write_csv(here / "r.csv", reviews(20))
    message = train_on("r.csv", "--labels", "bad,good")
    assert "'negative' (10)" in message
    assert "--labels 0=negative,1=positive" in message
    assert "cannot be read" in train_on("r.csv", "--labels", "0=bad,good")
    assert "only one label" in train_on("r.csv", "--labels", "bad")


# The prompt.


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("Good or bad?", "no {text} field"),
        ("", "no {text} field"),
        ("{text} {text} Good or bad?", "2 {text} fields"),
        ("{text} Sentiment: ", "ends in white space"),
    ],
)
def test_a_template_that_is_none(
    template: str, problem: str, train_on: Callable[..., str], data: Path
) -> None:
    assert problem in train_on(data, "--template", template)


def test_labels_that_collide_in_tokens(tiny_base: Path, here: Path, tmp_path: Path) -> None:
    # A tokenizer that folds width, as some do, cannot tell these two apart.
    from tiny_tokenizers import folding

    base = shutil.copytree(tiny_base, tmp_path / "folding")
    for file in base.glob("*token*"):
        file.unlink()
    folding().save_pretrained(base)
    named = {"negative": "grade①", "positive": "grade1"}
    write_csv(here / "r.csv", [(text, named[label]) for text, label in reviews(40)])
    message = refused_to_train(here, "--model", base, "--data", "r.csv")
    assert "'grade①'" in message
    assert "'grade1'" in message


def test_no_room_for_a_text(train_on: Callable[..., str], data: Path) -> None:
    assert "--max-length" in train_on(data, "--max-length", "12")


# Numbers and names.


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--subject", " "),
        ("--rank", "0"),
        ("--rank", "1000"),
        ("--alpha", "nan"),
        ("--alpha", "0"),
        ("--dropout", "1"),
        ("--epochs", "0"),
        ("--batch-size", "0"),
        ("--micro-batch", "-1"),
        ("--learning-rate", "inf"),
        ("--warmup", "1.5"),
        ("--clip", "0"),
        ("--seed", "-1"),
        ("--targets", "qkv"),
        ("--select", "accuracy"),
        ("--objective", "everything"),
        ("--device", "tpu"),
        ("--device", "cpu:x"),
        ("--dtype", "int4"),
    ],
)
def test_a_value_out_of_range_is_named(
    option: str, value: str, tiny_base: Path, data: Path, here: Path
) -> None:
    before = everything(here)
    message = run("train", "--model", tiny_base, "--data", data, *TRAINING, option, value).error
    assert value in message
    assert option.removeprefix("--").replace("-", "_") in message.replace("-", "_").lower() or (
        option == "--targets" and "projection" in message
    )
    assert everything(here) == before


# Bases.


@pytest.fixture
def train_base(data: Path, here: Path) -> Callable[..., str]:
    def refused(model: object, *options: object) -> str:
        return refused_to_train(here, "--data", data, "--model", model, *options)

    return refused


def test_a_folder_that_is_no_model(train_base: Callable[..., str], here: Path) -> None:
    (here / "stuff").mkdir()
    (here / "stuff/notes.txt").write_text("x")
    assert "is no model folder" in train_base("stuff")


def test_an_adapter_given_as_a_base(train_base: Callable[..., str], adapter: Path) -> None:
    assert "is an adapter, not a base" in train_base(adapter)


def test_weights_as_pickle(train_base: Callable[..., str], tiny_base: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "pickled")
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    message = train_base(base)
    assert "pickle" in message
    assert "pytorch_model.bin" in message
    assert "safetensors" in message


def test_truncated_weights(train_base: Callable[..., str], tiny_base: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "truncated")
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    message = train_base(base)
    assert "model.safetensors" in message
    assert "damaged" in message or "truncated" in message


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"GGUF\x03\0\0\0\x09\0\0\0", "truncated"), (b"PK\x03\x04" * 9, "is no GGUF file")],
)
def test_a_truncated_gguf_file(
    content: bytes, problem: str, train_base: Callable[..., str], here: Path
) -> None:
    (here / "some.gguf").write_bytes(content)
    message = train_base("some.gguf")
    assert "some.gguf" in message
    assert problem in message
    assert not [path for path in CACHE.glob("bases/*gguf*") if path.suffix != ".lock"]


def test_a_file_that_is_no_model(train_base: Callable[..., str]) -> None:
    assert "no GGUF file" in train_base("reviews.csv")


def test_an_unknown_model_offline(train_base: Callable[..., str]) -> None:
    message = train_base("someone/no-such-model")
    assert "someone/no-such-model" in message
    assert "smollm2" in message  # a way out
    assert "sentilora bases" in message
    for path in ("./no-such-model", "~no-such-user/model"):
        assert "no such file or folder" in train_base(path)


def test_a_revision_of_what_has_none(train_base: Callable[..., str], tiny_base: Path) -> None:
    assert "is not on the Hub" in train_base(tiny_base, "--revision", "main")


# The run's folder.


def test_a_folder_that_holds_another_run(train_on: Callable[..., str], broken: Path) -> None:
    message = train_on("nothing.csv", "-o", broken)
    assert f"{broken} already holds another run" in message
    assert f"sentilora train --resume {broken}" in message


def test_a_folder_that_holds_an_unfinished_run(
    train_on: Callable[..., str], unfinished: Path
) -> None:
    assert "already holds another run" in train_on("nothing.csv", "-o", unfinished)


def test_a_folder_that_holds_files(train_on: Callable[..., str], here: Path) -> None:
    (here / "notes").mkdir()
    (here / "notes/a.txt").write_text("a")
    assert "notes already holds files" in train_on("nothing.csv", "-o", "notes")


def test_a_file_where_the_folder_would_be(train_on: Callable[..., str], data: Path) -> None:
    assert "reviews.csv is a file" in train_on(data, "-o", "reviews.csv")
    assert "reviews.csv is a file" in train_on(data, "-o", "reviews.csv/run")


LONG = "x" * 300  # a name that no file can have; a folder that can't be entered is told likewise


@pytest.mark.parametrize("option", ["--model", "-o"])
def test_a_name_longer_than_names_can_be(option: str, train_on: Callable[..., str]) -> None:
    assert "can't be looked at" in train_on("nothing.csv", option, LONG)


@pytest.mark.parametrize("arguments", [("train", "--resume"), ("evaluate",)])
def test_a_run_of_a_name_longer_than_names_can_be(arguments: tuple[str, ...]) -> None:
    assert "can't be looked at" in run(*arguments, LONG).error


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(train_on: Callable[..., str], here: Path) -> None:
    (here / "mine").mkdir(mode=0o500)
    assert "can't be written to" in train_on("nothing.csv", "-o", "mine/run")


@pytest.mark.parametrize("fails", ["mkdir", "open"])
def test_a_folder_that_turns_out_not_to_be_writable(
    fails: str,
    train_on: Callable[..., str],
    data: Path,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = getattr(Path, fails)

    def failing(path: Path, *arguments: object, **options: object) -> object:
        if "deep" in path.parts:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    if fails == "open":
        (here / "deep").mkdir()  # the user's own, which stays
    monkeypatch.setattr(Path, fails, failing)
    message = train_on(data, "-o", "deep/er/run")
    assert "deep/er/run" in message
    assert "Permission denied" in message
    assert "-o" in message


def test_a_run_that_fails_at_its_first_step_leaves_nothing(
    train_on: Callable[..., str], data: Path
) -> None:
    message = train_on(data, "--learning-rate", "3e38", "--warmup", "0")
    assert "finite" in message
    assert "--learning-rate" in message


# Going on.


def test_resuming_what_is_no_run(here: Path) -> None:
    assert "There is no folder nothing" in run("train", "--resume", "nothing").error
    assert "holds no run" in run("train", "--resume", ".").error
    (here / "run.json").write_text("{")
    assert "run.json" in run("train", "--resume", ".").error
    (here / "run.json").write_text("{}")
    assert "damaged or from another version" in run("train", "--resume", ".").error


def test_all_checkpoints_damaged(unfinished: Path) -> None:
    for checkpoint in (unfinished / "checkpoints").iterdir():
        (checkpoint / "MANIFEST.json").unlink()
    before = everything(unfinished)
    assert (
        "All checkpoints in run/checkpoints are damaged"
        in run("train", "--resume", unfinished).error
    )
    assert everything(unfinished) == before


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--learning-rate", "0.002"),
        ("--rank", "4"),
        ("--data", "elsewhere.csv"),
        ("--model", "smollm2"),
        ("--dtype", "bfloat16"),
        ("--max-length", "100"),
        ("--targets", "query"),
    ],
)
def test_resuming_with_a_conflicting_option(option: str, value: str, unfinished: Path) -> None:
    before = everything(unfinished)
    message = run("train", "--resume", unfinished, option, value).error
    assert f"{option} {value} conflicts with the run" in message
    assert everything(unfinished) == before


@pytest.mark.parametrize("options", [("--template", "{text}:"), ("--dry-run",), ("-o", "else")])
def test_resuming_with_an_option_that_only_a_new_run_takes(
    options: tuple[str, ...], unfinished: Path
) -> None:
    message = run("train", "--resume", unfinished, *options).error
    assert "can't be given beside --resume" in message


def test_resuming_on_other_rows(unfinished: Path, tiny_base: Path) -> None:
    from sentilora.files import read_json, write_json

    config = read_json(unfinished / "run.json", "")
    write_csv(Path("other.csv"), reviews(60, seed=1))
    write_json(unfinished / "run.json", {**config, "data": str(Path("other.csv").absolute())})
    before = everything(unfinished)
    message = run("train", "--resume", unfinished).error
    assert "other rows" in message
    assert everything(unfinished) == before


# Damaged adapters.


def both_refuse(folder: Path, *options: object) -> str:
    """The message of predict, which evaluate gives as well."""
    message = run("predict", folder, "a fine film", "--dtype", "float32", *options).error
    assert run("evaluate", folder, "--dtype", "float32", *options).error == message
    return message


def rewritten(folder: Path, change: Callable[[dict], None]) -> None:
    """Change the description of an adapter as if it had been saved so, its hashes right."""
    description = json.loads((folder / "sentilora.json").read_text())
    change(description)
    description["files"] = {name: sha256(folder / name) for name in description["files"]}
    (folder / "sentilora.json").write_text(json.dumps(description))


def test_no_adapter(here: Path) -> None:
    assert "There is no folder nothing" in both_refuse(Path("nothing"))
    assert "holds no adapter" in both_refuse(Path())


def test_an_unfinished_run(unfinished: Path) -> None:
    assert f"sentilora train --resume {unfinished}" in both_refuse(unfinished)


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json", "rows.json"])
def test_a_flipped_byte(name: str, broken: Path) -> None:
    content = bytearray((broken / name).read_bytes())
    content[len(content) // 2] ^= 1
    (broken / name).write_bytes(content)
    message = both_refuse(broken)
    assert name in message
    assert "damaged" in message


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json", "rows.json"])
def test_a_truncated_file(name: str, broken: Path) -> None:
    (broken / name).write_bytes((broken / name).read_bytes()[:-10])
    assert name in both_refuse(broken)


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json", "rows.json"])
def test_a_missing_file(name: str, broken: Path) -> None:
    (broken / name).unlink()
    assert f"{name} is missing" in both_refuse(broken)


def test_a_truncated_description(broken: Path) -> None:
    content = (broken / "sentilora.json").read_bytes()
    (broken / "sentilora.json").write_bytes(content[: len(content) // 2])
    assert "sentilora.json" in both_refuse(broken)


def test_b_all_zero(broken: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(broken / WEIGHTS)
    save_file(
        {name: w * 0 if "lora_B" in name else w for name, w in weights.items()}, broken / WEIGHTS
    )
    rewritten(broken, lambda description: None)
    assert "all zero" in both_refuse(broken)


def test_a_canary_that_is_off(broken: Path) -> None:
    def change(description: dict) -> None:
        description["canary"]["tuned"][0][0] += 0.01

    rewritten(broken, change)
    assert "doesn't do what it did" in both_refuse(broken)


def test_another_base(broken: Path, tiny_base: Path, tmp_path: Path) -> None:
    from models import tiny_model

    other = shutil.copytree(tiny_base, tmp_path / "other")
    tiny_model("llama", seed=1).save_pretrained(other)
    message = both_refuse(broken, "--model", other)
    assert "another base" in message
    assert "--model" in message


def test_another_tokenizer(broken: Path, tiny_base: Path, tmp_path: Path) -> None:
    from tiny_tokenizers import added_spaces

    other = shutil.copytree(tiny_base, tmp_path / "other")
    added_spaces().save_pretrained(other)
    assert "tokenizer" in both_refuse(broken, "--model", other)


def test_a_base_that_has_moved_is_named(tiny_base: Path, data: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "first")
    trained = run("train", "--model", base, "--data", data, *TRAINING, "--epochs", "1", "-o", "out")
    assert trained.code == 0
    moved = base.rename(tmp_path / "second")
    message = both_refuse(Path("out"))
    assert "--model" in message
    assert str(base) in message
    assert run("predict", "out", "fine", "--model", moved, "--dtype", "float32").code == 0

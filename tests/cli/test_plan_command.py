"""`sentilora plan`, and `train --memory` and `--gradient-checkpointing`, which follow it."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import environment, run
from samples import TRAINING

from sentilora.planning.table import CONFIGURATIONS
from sentilora.runs import RunConfig


def planned(*arguments: object) -> list[dict[str, Any]]:
    outcome = run("plan", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)["plans"]


def losses(folder: Path) -> list[float]:
    description = json.loads((folder / "sentilora.json").read_text(encoding="utf-8"))
    return [entry["loss"] for entry in description["metrics"]["history"]]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_known_base_is_planned_without_a_network(offline: None, here: Path) -> None:
    plain, nf4 = planned("--model", "Qwen/Qwen2.5-1.5B", "--device", "cuda")
    assert (plain["quantize"], nf4["quantize"]) == ("none", "nf4")
    for plan in (plain, nf4):
        parts = plan["bytes"]
        assert parts.pop("total") == sum(parts.values())
        assert plan["fits"]
        assert plan["peak_bytes"] <= plan["budget_bytes"] == 8_000_000_000
    assert nf4["bytes"]["weights"] < plain["bytes"]["weights"] / 2
    assert plain["model"]["parameters"] == 1_543_714_304


def test_a_base_that_is_stored_quantised(here: Path) -> None:
    folder = here / "stored"
    folder.mkdir()
    config = {**CONFIGURATIONS["Qwen/Qwen2.5-7B"], "dtype": "bfloat16"}
    stored = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": stored}))
    (found,) = planned("--model", folder, "--device", "cuda")
    _, quantised = planned("--model", "Qwen/Qwen2.5-7B", "--device", "cuda")
    assert found["bytes"] == quantised["bytes"]
    assert "--quantize" not in found["command"]
    refused = run("plan", "--model", folder, "--quantize", "nf4")
    assert refused.code == 2
    assert "stored quantised already" in refused.err


def test_the_table_and_the_command(offline: None, here: Path) -> None:
    outcome = run(
        *("plan", "--model", "Qwen/Qwen2.5-3B", "--device", "cuda", "--rank", 16),
        *("--memory", "8 GiB", "--length", 300),
    )
    assert outcome.code == 0, outcome.err
    for word in ("LoRA on NF4", "weights", "activations", "attention", "head", "gradient"):
        assert word in outcome.out
    words = shlex.split(outcome.err.splitlines()[-1])
    assert words[:2] == ["sentilora", "train"]
    assert words[words.index("--max-length") + 1] == "300"
    assert words[words.index("--memory") + 1] == "8 GiB"
    assert words[words.index("--rank") + 1] == "16"
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_a_folder_and_its_rows(tiny_base: Path, data: Path) -> None:
    (plan,) = planned("--model", tiny_base, "--data", data, "--quantize", "none", "--device", "cpu")
    assert plan["length"]["prefix"] > 3
    assert plan["length"]["prefix"] < plan["length"]["longest"] < 128
    assert "rows" in plan["length"]["source"]
    assert plan["batch_size"] == 8  # by the number of rows, as train does


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--memory", "much"], "GiB"),
        (["--quantize", "q4"], "nf4"),
        (["--device", "tpu"], "cpu"),
        (["--dtype", "int4"], "bfloat16"),
        (["--targets", "everything"], "query"),
        (["--model", "distilgpt2", "--length", 2000], "1,024"),
        (["--length", 3], "--length"),
        (["--model", "nobody/nothing"], "Qwen/Qwen2.5-7B"),
        (["--model", "distilgpt2", "--data", "reviews.csv"], "--length"),
        (["--model", "Qwen/Qwen2.5-7B", "--quantize", "none"], "--quantize nf4"),
        (["--model", "Qwen/Qwen2.5-3B", "--quantize", "none", "--length", 4000], "(--length "),
    ],
)
def test_what_the_user_can_put_right(
    offline: None, data: Path, arguments: list[object], hint: str
) -> None:
    given = arguments if "--device" in arguments else [*arguments, "--device", "cuda"]
    assert hint in run("plan", *given).error


def test_memory_changes_no_loss(tiny_base: Path, adapter: Path, data: Path) -> None:
    """Rows are run in parts that fit; without dropout what they lead to is the same."""
    common = ("--model", tiny_base, "--data", "reviews.csv", *TRAINING, "--dropout", 0)
    plain = run("train", *common, "-o", "plain")
    assert plain.code == 0, plain.err
    (plan,) = planned(
        *("--model", tiny_base, "--data", "reviews.csv", "--quantize", "none"),
        *("--device", "cpu", "--dtype", "float32", "--batch-size", 12, "--length", 128),
    )
    less = plan["peak_bytes"] - 100_000
    tight = run("train", *common, "--memory", f"{less}B", "-o", "tight")
    assert tight.code == 0, tight.err
    assert "predicted" in tight.err
    settings = RunConfig.read(Path("tight")).training
    assert settings.micro_batch_tokens is not None
    assert settings.micro_batch_tokens < plan["micro_batch_tokens"]
    assert losses(Path("tight")) == pytest.approx(losses(Path("plain")), abs=1e-4)


def test_checkpointing_changes_no_loss(tiny_base: Path, data: Path) -> None:
    common = ("--model", tiny_base, "--data", "reviews.csv", *TRAINING, "--dropout", 0)
    for more, folder in (((), "plain"), (("--gradient-checkpointing",), "checkpointed")):
        outcome = run("train", *common, *more, "-o", folder)
        assert outcome.code == 0, outcome.err
    assert losses(Path("checkpointed")) == pytest.approx(losses(Path("plain")), abs=1e-4)
    assert RunConfig.read(Path("checkpointed")).training.gradient_checkpointing


def test_too_little_memory_is_refused_before_the_base_is_loaded(
    tiny_base: Path, data: Path
) -> None:
    outcome = run(
        "train", "--model", tiny_base, "--data", "reviews.csv", *TRAINING, "--memory", "1MB"
    )
    assert "even with micro-batches of one row" in outcome.error
    assert "amount of memory" in run("train", "--memory", "lots").error


def test_a_known_base_is_planned_for_without_torch(here: Path) -> None:
    """It answers at once."""
    script = (
        "import sys; sys.argv = ['sentilora', 'plan', '--json']\n"
        "from sentilora.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('heavy:', 'torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"plans"' in done.stdout
    assert done.stderr.splitlines()[-1] == "heavy: False"

"""Help and version answer at once, and fit a terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command import SOURCES, run

COMMANDS = (
    [],
    ["train"],
    ["evaluate"],
    ["predict"],
    ["behaviour"],
    ["compare"],
    ["domains"],
    ["explain"],
    ["merge"],
    ["plan"],
    ["export"],
    ["audit"],
    ["bases"],
    ["bases", "add"],
)
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "numpy",
    "scipy",
    "sklearn",
    "pyarrow",
    "datasets",
    "pandas",
    "huggingface_hub",
    "safetensors",
    "tokenizers",
    "onnx",
    "onnxruntime",
    "matplotlib",
    "jinja2",
)


def test_help_and_version_import_nothing_heavy() -> None:
    code = f"""
import contextlib, io, sys
from sentilora.cli import main
for command in {[*COMMANDS, None]!r}:
    sys.argv = ["sentilora", *command, "--help"] if command is not None else ["s", "--version"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main()
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == []
    assert ended.stderr == ""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "sentilora")
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_fits_a_terminal_and_goes_to_standard_output(command: list[str], option: str) -> None:
    outcome = run(*command, option)
    assert outcome.code == 0
    assert outcome.err == ""
    assert "Usage: " + " ".join(["sentilora", *command]) in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_the_commands_are_listed() -> None:
    listed = run("--help").out
    for command in {words[0] for words in COMMANDS if words}:
        assert f"│ {command} " in listed


def test_no_command_gives_the_help() -> None:
    outcome = run()
    assert outcome.code == 2
    assert "Usage: sentilora" in outcome.out + outcome.err


def test_the_version() -> None:

    import sentilora

    assert run("--version").out == f"sentilora {sentilora.__version__}\n"


def test_unknown_commands_and_options_name_what_there_is() -> None:
    for arguments, hint in (
        (["trian"], "train"),
        (["train", "--epoch", "3"], "--epochs"),
        (["train", "--epochs", "two"], "--epochs"),
        (["predict"], "run"),
    ):
        outcome = run(*arguments)
        assert outcome.code == 2
        assert outcome.out == ""
        assert hint in outcome.err
        assert "Traceback" not in outcome.err

"""Results go to standard output and everything else to standard error, on a terminal or without."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from sentilora.cli.console import LINE_EVERY, USER_ERROR, Progress, fail, out, say, shown
from sentilora.errors import UserError

SOURCES = Path(__file__).resolve().parents[2] / "src"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run_on_a_terminal(code: str, columns: int = 80) -> tuple[str, str]:
    """Standard output (a pipe) and what a terminal on standard error was sent by `code`."""
    pty = pytest.importorskip("pty", reason="needs a POSIX terminal")
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**kept, "PYTHONPATH": str(SOURCES), "TERM": "xterm"},
    )
    os.close(terminal)
    sent = b""
    while True:
        try:
            part = os.read(reader, 65536)
        except OSError:  # Linux says so when the other side has closed
            break
        if not part:
            break
        sent += part
    os.close(reader)
    result, _ = child.communicate(timeout=30)
    assert child.returncode == 0, sent.decode()
    return result.decode(), sent.decode()


def test_log_goes_to_standard_error_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    message = "read /a/[b]/c.csv :smile: " + "word " * 40 + "[/nothing]"
    say(message)
    out().print("result")
    captured = capsys.readouterr()
    assert captured.err == f"{message}\n"
    assert captured.out == "result\n"


def test_no_control_character_gets_out(capsys: pytest.CaptureFixture[str]) -> None:
    """However it is printed: as log, as a text, in a table."""
    from rich.table import Table
    from rich.text import Text

    hostile = "a \x1b]0;owned\x07 \x9b2J"
    say(hostile)
    table = Table("heading")
    table.add_row(Text(hostile))
    table.add_row(shown(hostile))
    out().print(Text(hostile), table)
    captured = capsys.readouterr()
    assert not set(captured.out + captured.err) & set("\x1b\x07\x9b")
    assert "a \\u001b]0;owned" in captured.err
    assert captured.out.count("a \\u001b]0;owned\\u0007 \\u009b2J") == 1
    assert captured.out.count("a \\u001b]0;owned") == 3


def test_a_users_error_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fail(UserError("No file 'x[1].csv'. Check the path."))
    assert caught.value.code == USER_ERROR == 2
    captured = capsys.readouterr()
    assert captured.err == "Error: No file 'x[1].csv'. Check the path.\n"
    assert captured.out == ""


def test_without_a_terminal_a_line_comes_now_and_then_and_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Progress("training", unit="steps", total=1200, clock=clock) as progress:
        for _ in range(6):
            clock.now += LINE_EVERY / 3
            progress.advance(100)
        progress.note("F1 0.861")
    assert capsys.readouterr().err.splitlines() == [
        "training: 300/1,200 steps (25%), 10 steps/s, elapsed 0:30, ETA 1:30",
        "training: 600/1,200 steps (50%), 10 steps/s, elapsed 1:00, ETA 1:00",
        "training: 600/1,200 steps (50%), 10 steps/s, elapsed 1:00, ETA 1:00, F1 0.861",
    ]


def test_a_resumed_job_counts_only_its_own_work_for_the_rate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Progress("training", unit="steps", total=20_000, done=10_000, clock=clock) as progress:
        clock.now += 10
        progress.advance(5)
    assert capsys.readouterr().err == (
        "training: 10,005/20,000 steps (50%), 0.5 steps/s, elapsed 0:10, ETA 5:33:10\n"
    )


@pytest.mark.parametrize(
    ("total", "units", "line"),
    [
        (None, 7, "rows: 7 rows, 7 rows/s, elapsed 0:01\n"),
        (0, 0, "rows: 0/0 rows, elapsed 0:01\n"),
        (7, 7, "rows: 7/7 rows (100%), 7 rows/s, elapsed 0:01\n"),
    ],
)
def test_an_eta_only_where_there_is_one(
    total: int | None, units: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    with Progress("rows", unit="rows", total=total, clock=clock) as progress:
        clock.now += 1
        progress.advance(units)
    assert capsys.readouterr().err == line


def test_the_last_line_comes_when_the_job_is_interrupted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted() -> None:
        with Progress("x", unit="rows", total=9) as progress:
            progress.advance(3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert capsys.readouterr().err.startswith("x: 3/9 rows (33%)")


def test_terminal_only_says_nothing_elsewhere_even_if_colour_is_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    clock = Clock()
    with Progress("x", unit="rows", terminal_only=True, clock=clock) as progress:
        clock.now += 2 * LINE_EVERY
        progress.advance()
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar_and_standard_output_stays_clean() -> None:
    code = """
import time
from sentilora.cli.console import Progress, say
with Progress("training", unit="steps", total=2000) as progress:
    for _ in range(4):
        time.sleep(0.05)
        progress.advance(250)
    progress.note("F1 0.861 [x]")
    print("result")
    say("epoch 1")
    time.sleep(0.4)
"""
    result, sent = run_on_a_terminal(code)
    assert result == "result\n"  # rich would send it to the terminal of the bar
    assert "result" not in sent
    for expected in ("training", "1,000/2,000", "/s", "ETA", "F1 0.861 [x]", "epoch 1"):
        assert expected in sent
    assert "━" in sent


def test_the_consoles_cost_no_import_of_rich() -> None:
    # By its path: what the package around it imports is not this module's doing.
    module = SOURCES / "sentilora" / "cli" / "console.py"
    code = f"import runpy, sys; runpy.run_path({str(module)!r}); sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_on_a_terminal_log_is_wrapped_between_words_alone() -> None:
    code = """
from sentilora.cli.console import say
say("  in " + "/long" * 30 + " and then [bold]" + " word" * 20)
"""
    _, sent = run_on_a_terminal(code)
    lines = sent.replace("\r", "").splitlines()
    assert "/long" * 30 in lines[1]
    assert all(len(line) <= 80 for line in lines if "/long" not in line)
    assert " ".join(" ".join(lines).split()) == "in " + "/long" * 30 + " and then [bold]" + (
        " word" * 20
    )

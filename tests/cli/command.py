"""Running the command: in this process, which is quick, or as one of its own, which is real."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "src"
_cache = tempfile.TemporaryDirectory()  # the user's own is neither seen nor changed
CACHE = Path(_cache.name)
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PATIENCE = 120.0  # seconds for whatever a process does


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said. A code below 0 is the signal that ended it."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The message of a command that the user can put right, with nothing half done.

        It is the last line on standard error; there is no traceback and no result.
        """
        assert self.code == 2, (self.code, self.err)
        assert self.out == ""
        assert "Traceback" not in self.err
        *log, last = self.err.splitlines()
        assert last.startswith("Error: "), self.err
        assert not any(line.startswith("Error: ") for line in log)
        assert last[-1] in ".?", last  # sentences
        return last


def run(*arguments: object, cwd: Path | None = None, stdin: bytes = b"") -> Outcome:
    """The command in this process."""
    from sentilora.cli import main

    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    code: object = 0
    with (
        contextlib.chdir(cwd or Path()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["sentilora", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        patch.setenv("COLUMNS", "80")
        patch.setenv("SENTILORA_CACHE", str(CACHE))
        try:
            main()
        except SystemExit as end:
            code = end.code
        out.flush()
    assert isinstance(code, int)
    return Outcome(code, out.buffer.getvalue().decode(), err.getvalue())  # type: ignore[attr-defined]


class Process:
    """The command as a process of its own."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child

    def signal_after(self, words: str, number: signal.Signals) -> Outcome:
        """Send a signal once `words` stand on standard error, and wait for the end."""
        assert self.child.stderr is not None
        said = b""
        while words.encode() not in said:
            line = self.child.stderr.readline()
            assert line, said.decode()
            said += line
        self.child.send_signal(number)
        out, rest = self.child.communicate(timeout=PATIENCE)
        return Outcome(self.child.returncode, out.decode(), (said + rest).decode())

    def end(self, stdin: bytes = b"") -> Outcome:
        """Wait for the end."""
        out, err = self.child.communicate(stdin, timeout=PATIENCE)
        return Outcome(self.child.returncode, out.decode(), err.decode())


def environment() -> dict[str, str]:
    """This process's, with the sources found and as many threads as are used here."""
    import torch

    threads = str(torch.get_num_threads())
    kept = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    ours = {"PYTHONPATH": str(SOURCES), "SENTILORA_CACHE": str(CACHE), "COLUMNS": "80"}
    return {**kept, **ours, "OMP_NUM_THREADS": threads}


def start(*arguments: object, cwd: Path | None = None) -> Process:
    """The command as a process of its own, its three streams pipes."""
    return Process(
        subprocess.Popen(
            [sys.executable, "-m", "sentilora", *map(str, arguments)],
            cwd=cwd,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    )


def on_terminal(*arguments: object, cwd: Path | None = None) -> tuple[int, str]:
    """The command's exit code and what it writes to a terminal of 80 columns, without styles."""
    pty = pytest.importorskip("pty", reason="needs a POSIX terminal")
    reader, terminal = pty.openpty()
    kept = {name: value for name, value in environment().items() if name != "NO_COLOR"}
    child = subprocess.Popen(
        [sys.executable, "-m", "sentilora", *map(str, arguments)],
        cwd=cwd,
        env={**kept, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    sent, deadline = b"", time.monotonic() + PATIENCE
    with contextlib.suppress(OSError):  # Linux says so when the other side has closed
        while time.monotonic() < deadline and (part := os.read(reader, 65536)):
            sent += part
    os.close(reader)
    return child.wait(timeout=PATIENCE), _STYLES.sub("", sent.decode())


def on_a_full_disk(*arguments: object) -> Outcome:
    """The command where files may hold 40 kB at most: it fails as a full disk does, in the midst of
    writing."""
    words = shlex.join([sys.executable, "-m", "sentilora", *map(str, arguments)])
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 40; exec {words}"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)

"""Runs contenders in processes of their own, round by round, so that noise hits all alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from common import Job
from rich.console import Console

from sentilora.errors import UserError

WORKER = Path(__file__).with_name("worker.py")
PRODUCT = "sentilora"
console = Console(stderr=True)


@dataclass(frozen=True)
class Contender:
    """One way of doing the job.

    package
        What must be importable for it.
    batch
        Its own fixed batch, if it isn't the common one.
    tuned
        Whether it runs at its own best batch.
    needs
        "gpu" or "gguf", where it can't do without.
    """

    name: str
    module: str
    package: str = "transformers"
    batch: int | None = None
    tuned: bool = False
    needs: str | None = None
    trl: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What came of one contender; `missing` says why there is nothing."""

    contender: Contender
    batch: int
    passes: list[dict[str, Any]] = field(default_factory=list)
    checked: dict[str, Any] | None = None
    missing: str | None = None


LIMIT = Contender("arithmetic limit", "arithmetic")


def select(
    contenders: Sequence[Contender], wanted: tuple[str, ...] | None, trl_python: Path | None
) -> list[Contender]:
    """The product and the chosen peers.

    Raises UserError for an unknown name, or where a peer that was asked for has no environment.
    """
    if wanted is None:
        return list(contenders)
    names = [contender.name for contender in contenders]
    if unknown := [name for name in wanted if name not in names]:
        raise UserError(f"There is no peer {unknown[0]!r} here; there are {', '.join(names[1:])}.")
    chosen = [one for one in contenders if one.name in (PRODUCT, *wanted)]
    for contender in chosen:
        if contender.trl and not _importable(contender, trl_python):
            raise UserError(
                "TRL isn't installed in this environment. Make one with `pip install -r "
                "benchmarks/peers/requirements-trl.txt` and name its Python with --trl-python."
            )
    return chosen


def compete(
    contenders: Sequence[Contender],
    job: Job,
    rounds: int,
    trl_python: Path | None,
    *,
    check: bool,
) -> tuple[list[Outcome], list[dict[str, Any]]]:
    """The outcomes in the contenders' order, and the limit's measurements, one a round.

    Each round runs every contender once, beginning with another one each time. `check` has each
    also do the job's check once.
    """
    outcomes = [_prepared(contender, job, trl_python, check) for contender in contenders]
    running = [outcome for outcome in outcomes if outcome.missing is None]
    limits = []
    for number in range(rounds):
        limits.append(_work(LIMIT, job, None))
        turn = number % max(1, len(running))
        for outcome in running[turn:] + running[:turn]:
            if outcome.missing is None:
                console.print(f"round {number + 1}: {outcome.contender.name}", style="dim")
                _attempt(outcome, replace(job, batch=outcome.batch), trl_python)
    return outcomes, limits


def run_product(contender: Contender, job: Job) -> dict[str, Any]:
    """One pass of the product alone."""
    return _work(contender, job, None)


def _prepared(contender: Contender, job: Job, trl_python: Path | None, check: bool) -> Outcome:
    """An outcome with its check and its best batch, or the reason why there can be none."""
    batch = contender.batch or job.batch
    outcome = Outcome(contender, batch, missing=_lacks(contender, job, trl_python))
    if outcome.missing is None and contender.tuned:
        console.print(f"finding the best batch: {contender.name}", style="dim")
        if answer := _attempt(outcome, replace(job, mode="tune"), trl_python, keep=False):
            outcome.batch = answer["batch"]
    if outcome.missing is None and check:
        console.print(f"checking: {contender.name}", style="dim")
        outcome.checked = _attempt(outcome, replace(job, mode="check"), trl_python, keep=False)
    return outcome


def _lacks(contender: Contender, job: Job, trl_python: Path | None) -> str | None:
    if contender.needs == "gpu" and not job.device.startswith("cuda"):
        return "needs a GPU"
    if contender.needs == "gguf" and job.gguf is None:
        return "needs the base's GGUF file"
    return None if _importable(contender, trl_python) else "not installed"


def _importable(contender: Contender, trl_python: Path | None) -> bool:
    find = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    command = [_python(contender, trl_python), "-c", find, contender.package]
    return subprocess.run(command, check=False).returncode == 0


def _python(contender: Contender, trl_python: Path | None) -> str:
    return str(trl_python) if contender.trl and trl_python else sys.executable


def _attempt(
    outcome: Outcome, job: Job, trl_python: Path | None, *, keep: bool = True
) -> dict[str, Any] | None:
    """A pass of one contender; a peer that fails says so in the table, the product ends it all."""
    try:
        answer = _work(outcome.contender, job, trl_python)
    except _WorkerError as error:
        if outcome.contender.name == PRODUCT:
            raise
        console.print(f"{outcome.contender.name} failed:\n{error}", style="red", markup=False)
        outcome.missing = f"failed: {str(error).strip().splitlines()[-1][:100]}"
        return None
    if keep:
        outcome.passes.append(answer)
    return answer


class _WorkerError(RuntimeError):
    """A worker ended with an error; holds the end of what it said."""


def _work(contender: Contender, job: Job, trl_python: Path | None) -> dict[str, Any]:
    job = replace(job, module=contender.module, options=contender.options)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        question, answer = Path(folder) / "job.json", Path(folder) / "result.json"
        job.write(question)
        done = subprocess.run(
            [_python(contender, trl_python), str(WORKER), str(question), str(answer)],
            env={**_environment(job.threads), "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise _WorkerError(done.stderr[-4000:] or f"ended with code {done.returncode}")
        return json.loads(answer.read_text(encoding="utf-8"))


def _environment(threads: int) -> dict[str, str]:
    """The same for all: passive waiting, so many threads, nothing asked of a hub."""
    return {
        **os.environ,
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }

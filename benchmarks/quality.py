"""Which method gives what accuracy with how many labelled rows; README.md says how to run it.

A cell (method, rows, seed) that is done is kept in the file of results, so a study that was stopped
goes on with the others. Without any left to do it only writes the tables and the plot anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from study.cells import Cell, Result, Results
from study.plans import PLANS
from study.report import write_report

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "quality.jsonl"
DOCS = HERE.parent / "docs"
console = Console(stderr=True)


def main() -> None:
    settings = _parse()
    results = Results(settings.results)
    planned = (cell for name in settings.plans for cell in PLANS[name])
    cells = list({cell.key: cell for cell in planned}.values())  # plans share some
    if settings.methods:
        cells = [cell for cell in cells if cell.method in settings.methods]
    missing = results.missing(cells)
    console.print(f"{len(cells)} cells, {len(missing)} of them still to do.")
    started = time.monotonic()
    for number, cell in enumerate(missing):
        per_cell = (time.monotonic() - started) / max(1, number)
        left = timedelta(seconds=round(per_cell * (len(missing) - number)))
        note = f", about {left} left" if number else ""
        console.print(f"{number + 1}/{len(missing)}: {describe(cell)}{note}", style="dim")
        if result := _run(cell, settings):
            results.add(result)
            console.print(f"   accuracy {result.figures['accuracy']:.2%}")
    if settings.write:
        write_report(results, settings.data, DOCS)


def describe(cell: Cell) -> str:
    options = "".join(f" {name}={value}" for name, value in cell.options.items())
    rows = f"{cell.rows} rows" if cell.rows else "all rows"
    return f"{cell.method} on {cell.data}, {rows}, seed {cell.seed}{options}"


def _run(cell: Cell, settings: argparse.Namespace) -> Result | None:
    """One cell in a process of its own; one that fails is said, and left for another time."""
    with tempfile.TemporaryDirectory(prefix="quality-") as where:
        question, answer = Path(where) / "cell.json", Path(where) / "result.json"
        question.write_text(json.dumps(asdict(cell)), encoding="utf-8")
        command = [sys.executable, "-m", "study.worker", str(question), str(settings.data)]
        done = subprocess.run(
            [*command, settings.device, str(answer)],
            cwd=HERE,
            env=_environment(settings),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            console.print(done.stderr[-3000:], style="red", markup=False)
            return None
        found = json.loads(answer.read_text(encoding="utf-8"))
    return Result(**{**found, "cell": cell})


def _environment(settings: argparse.Namespace) -> dict[str, str]:
    own = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    if settings.setfit_python:
        own["SETFIT_PYTHON"] = str(settings.setfit_python.absolute())
    return {**os.environ, **own}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of data sets")
    parser.add_argument("--plans", type=_names(PLANS), default=list(PLANS), help=", ".join(PLANS))
    parser.add_argument("--methods", type=lambda given: given.split(","), help="only these")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of finished cells")
    parser.add_argument("--device", default="cpu", help="where the language model runs")
    parser.add_argument("--setfit-python", type=Path, help="the Python of an environment with it")
    parser.add_argument(
        "--write", action="store_true", help="write docs/quality-tables.md and its plot"
    )
    settings = parser.parse_args()
    settings.data = settings.data.absolute()
    settings.results.parent.mkdir(parents=True, exist_ok=True)
    return settings


def _names(known: Sequence[str]):
    def names(given: str) -> list[str]:
        chosen = given.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return chosen

    return names


if __name__ == "__main__":
    main()

"""What training takes of memory, beside what `sentilora plan` predicts of it.

Each cell is trained in a process of its own: on a CPU the resident peak beyond the imports is
measured, on a GPU the allocator's. Memory doesn't depend on how busy the machine is. What was
quantised out of a mapped file isn't counted in the steps: its pages stay resident only as long as
nothing else needs the room.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memory_worker import Cell
from rich.console import Console
from rich.table import Table

from models import RANDOM, model_folder
from sentilora.bases.dtype import DTYPES
from sentilora.bases.quantization import KINDS
from sentilora.planning import parse_bytes
from sentilora.planning.memory import IMPORTED_BYTES, RUNTIME_BYTES, loading, peak
from sentilora.planning.reading import folder_shape
from sentilora.planning.recipe import Recipe, Run
from sentilora.planning.shape import ModelShape

WORKER = Path(__file__).with_name("memory_worker.py")
WIDTH = 100  # characters that the table needs
MODELS = ("distilgpt2", "smollm2", "qwen2.5-0.5b")


@dataclass(frozen=True)
class Line:
    """A cell with what was predicted and measured, in bytes."""

    cell: Cell
    rows: int
    longest: int
    path: str
    predicted: int
    measured: int
    predicted_loading: int
    measured_loading: int

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was measured."""
        return self.predicted / self.measured - 1


def main() -> None:
    options = _parsed()
    lines = []
    for cell in _cells(options):
        line = _line(cell, _measured(cell))
        lines.append(line)
        print(
            f"{Path(cell.model).name} {cell.dtype} {line.rows} x {line.longest}: {line.error:+.1%}",
            file=sys.stderr,
        )
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(_table(lines))
    if options.json is not None:
        found = [{**asdict(line), "error": line.error} for line in lines]
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS, help=f"of {', '.join(MODELS)}")
    parser.add_argument("--tokenizers", type=Path, help=f"holds {' and '.join(RANDOM)}")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--dtypes", nargs="+", default=DTYPES[:2], choices=DTYPES)
    parser.add_argument("--batches", nargs="+", type=int, default=(8, 32))
    parser.add_argument("--words", nargs="+", type=int, default=(32, 128, 512))
    parser.add_argument("--budget", type=int, default=2048, help="tokens of a micro-batch")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--quantize", choices=KINDS)
    parser.add_argument("--dora", action="store_true")
    parser.add_argument("--cap", type=parse_bytes, help="of a GPU's memory, as 8GiB")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _cells(options: argparse.Namespace) -> Iterator[Cell]:
    for name in options.models:
        folder = str(model_folder(name, options.tokenizers))
        for dtype in options.dtypes:
            for words in options.words:
                for batch in options.batches:
                    yield Cell(
                        model=folder,
                        device=options.device,
                        dtype=dtype,
                        batch=batch,
                        words=words,
                        budget=options.budget,
                        steps=options.steps,
                        threads=options.threads,
                        checkpointing=options.checkpointing,
                        cap=options.cap,
                        quantize=options.quantize,
                        dora=options.dora,
                    )


def _measured(cell: Cell) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        job, result = Path(folder, "job.json"), Path(folder, "result.json")
        cell.write(job)
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        command = [sys.executable, str(WORKER), str(job), str(result)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"Error: {cell} failed:\n{done.stderr[-2000:]}")
        return json.loads(result.read_text(encoding="utf-8"))


def _line(cell: Cell, found: dict[str, Any]) -> Line:
    shape = folder_shape(Path(cell.model).name, Path(cell.model))
    recipe = Recipe(
        cell.dtype,
        cell.device,
        cell.threads,
        cell.rank,
        cell.targets,
        dora=cell.dora,
        quantize=cell.quantize or shape.quantized,
        checkpointing=cell.checkpointing,
    )
    run = Run(found["rows"], found["longest"] - found["prefix"], found["prefix"])
    parts, load = peak(shape, recipe, run), loading(shape, recipe)
    # Imports aren't measured, nor does a GPU's allocator count what is `runtime` there.
    on_gpu = cell.device == "cuda"
    uncounted = parts.runtime if on_gpu else IMPORTED_BYTES
    uncounted_loading = RUNTIME_BYTES["cuda"] if on_gpu else IMPORTED_BYTES
    return Line(
        cell,
        found["rows"],
        found["longest"],
        found["path"],
        parts.total - uncounted,
        found["steps"] - _read_once(shape, recipe),
        load - uncounted_loading,
        found["load"],
    )


def _read_once(shape: ModelShape, recipe: Recipe) -> int:
    """Bytes of the file that is still mapped which only quantising read."""
    mapped = recipe.device == "cpu" and recipe.size == shape.stored_bytes
    quantised_here = recipe.quantize is not None and shape.quantized is None
    return shape.linear * shape.stored_bytes if mapped and quantised_here else 0


def _table(lines: Sequence[Line]) -> Table:
    table = Table(title="Peak, predicted and measured, in MB", title_justify="left", box=None)
    table.add_column("model", no_wrap=True)
    for name in ("dtype", "rows x tokens", "steps", "error", "loading"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(
            Path(line.cell.model).name,
            " ".join(_held(line.cell)),
            f"{line.rows} x {line.longest}",
            _pair(line.predicted, line.measured),
            f"{line.error:+.1%}",
            _pair(line.predicted_loading, line.measured_loading),
        )
    return table


def _held(cell: Cell) -> Iterator[str]:
    yield cell.dtype
    if cell.quantize is not None:
        yield cell.quantize
    if cell.dora:
        yield "DoRA"


def _pair(predicted: int, measured: int) -> str:
    return f"{predicted / 1e6:,.0f} / {measured / 1e6:,.0f}"


if __name__ == "__main__":
    main()

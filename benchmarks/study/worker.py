"""One cell in a process of its own: `python -m study.worker CELL.json DATA DEVICE RESULT.json`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import torch

from sentilora.devices import processor
from study.cells import Cell, Result
from study.draws import draw, load
from study.measures import measure
from study.methods import Answer, Job

METHODS = {
    "majority": "linear:majority",
    "tfidf": "linear:tfidf",
    "embeddings": "linear:embeddings",
    "setfit": "contrastive:setfit",
    "zero-shot": "prompted:zero_shot",
    "calibrated": "prompted:calibrated",
    "in-context": "prompted:in_context",
    "head": "head:head",
    "tuned": "tuned:tuned",
    "windowed": "tuned:windowed",
}


def main() -> None:
    """Answer the cell in the first file into the last."""
    cell = Cell(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    result = answer(cell, Path(sys.argv[2]), sys.argv[3])
    Path(sys.argv[4]).write_text(json.dumps(asdict(result)), encoding="utf-8")


def answer(cell: Cell, folder: Path, device: str = "cpu") -> Result:
    """What a cell's method makes of its rows."""
    data = load(cell.data, folder)
    measured = getattr(data, cell.split)
    train = draw(data.train, cell.rows, cell.seed) if cell.rows else data.train
    validation = None if cell.rows else data.validation
    job = Job(data, train, validation, measured.texts, cell.seed, cell.options, device)
    found = _method(cell.method)(job)
    figures = {
        **measure(found.probabilities, found.predicted, measured.gold, data.labels),
        "train_seconds": round(found.train_seconds, 1),
        "saved_bytes": found.saved_bytes,
    }
    return Result(cell, figures, "".join(map(str, found.predicted)), _hardware(device))


def _hardware(device: str) -> str:
    kind = torch.device(device).type
    return f"{os.cpu_count()} cores, {processor(kind)}" if kind == "cpu" else processor(kind)


def _method(name: str) -> Callable[[Job], Answer]:
    module, _, function = METHODS[name].partition(":")
    return getattr(import_module(f"study.methods.{module}"), function)


if __name__ == "__main__":
    main()

"""Small data sets, written as folders of JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path

from sentilora.data import DataOptions
from sentilora.domains.sources import Domain, load_domains


def write_rows(folder: Path, name: str, **splits: dict[str, str]) -> None:
    """A data set of each split's texts with their labels."""
    (folder / name).mkdir(exist_ok=True)
    for split, rows in splits.items():
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows.items()]
        (folder / name / f"{split}.jsonl").write_text("\n".join(lines))


def write_set(folder: Path, name: str, rows: int, labels: tuple[str, ...]) -> None:
    """As many rows of texts of their own in each split, the labels by turns."""
    splits = ("train", "validation", "test")
    write_rows(folder, name, **{split: turns(f"{name} {split}", rows, labels) for split in splits})


def turns(
    name: str, rows: int, labels: tuple[str, ...] = ("negative", "positive")
) -> dict[str, str]:
    return {f"{name} {n}": labels[n % len(labels)] for n in range(rows)}


def load(folder: Path, *names: str) -> list[Domain]:
    return load_domains(names, folder, DataOptions())

"""Rows that a study writes for its runs to train on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from sentilora.files import write_bytes


def write_rows(splits: Mapping[str, Iterable[tuple[str, str]]], folder: Path, name: str) -> Path:
    """Write each split's texts and labels as a data set called `name`; returns its folder.

    It lies in one that is named by what is in it: other rows are another data set, so that no run
    is taken for one that was trained on them.
    """
    files = {split: _lines(rows).encode("utf-8", "surrogatepass") for split, rows in splits.items()}
    digest = hashlib.sha256(repr(files).encode()).hexdigest()
    made = folder / digest[:12] / name
    made.mkdir(parents=True, exist_ok=True)
    for split, content in files.items():
        write_bytes(made / f"{split}.jsonl", content)
    return made


def _lines(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(
        json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n"
        for text, label in rows
    )

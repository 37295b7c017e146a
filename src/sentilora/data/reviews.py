"""The reviews that come with sentilora, in `bundled/`: written for it, CC0, no download."""

from __future__ import annotations

from importlib import resources

from sentilora.data.dataset import SPLITS, RawData, RawRow
from sentilora.data.files import open_table

NAME = "reviews"


def read_bundled() -> RawData:
    """The bundled reviews in their three splits."""
    return RawData(NAME, "bundled", {split: _rows(split) for split in SPLITS})


def _rows(split: str) -> list[RawRow]:
    resource = resources.files("sentilora.data").joinpath("bundled", f"{split}.jsonl")
    with resources.as_file(resource) as path:
        return [
            RawRow(split, record.number, record.values["text"], record.values["label"])
            for record in open_table(path)
        ]

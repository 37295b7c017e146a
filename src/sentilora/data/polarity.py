"""The sentence polarity data set as its authors publish it: `rt-polarity.pos` and `.neg`.

Two files of one film review snippet a line (Pang and Lee, "Seeing stars", ACL 2005), here plain or
gzipped. They come without splits; those of the Hub's `rotten_tomatoes` are made by its published
rule, so results compare: of each file's n lines in order, those before `int(n * 0.8 + 0.5)` train,
those before `int(n * 0.9 + 0.5)` validate, the rest test; in each split all positive lines come
first, then the negative ones. That is 8,530 / 1,066 / 1,066 rows.

The original files are Windows-1252 (the Hub's version reads them as Latin-1 and so has control
characters where there are dashes and quotation marks); copies in UTF-8 are about too.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from sentilora.data.dataset import TEST, TRAIN, VALIDATION, RawData, RawRow
from sentilora.data.decoding import damaged_gzip
from sentilora.errors import UserError

STEM = "rt-polarity"
SIDES = {"pos": "positive", "neg": "negative"}  # in the order of the rows within a split


def find_pair(path: Path) -> dict[str, Path] | None:
    """The two files that `path` (a folder, or one of them) stands for; None where it does not.

    Raises
    ------
    UserError
        Where only one of the two is there.
    """
    if path.is_file():
        if path.name.removesuffix(".gz") not in {f"{STEM}.{side}" for side in SIDES}:
            return None
        return _pair_in(path.parent)
    return _pair_in(path) or _pair_in(path / "raw")


def read_pair(pair: dict[str, Path], origin: str) -> RawData:
    """The rows of the two files. A row's number is its place in its split, as on the Hub."""
    parts: dict[str, list[RawRow]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for side, word in SIDES.items():
        lines = _lines(pair[side])
        first, second = int(len(lines) * 0.8 + 0.5), int(len(lines) * 0.9 + 0.5)
        cuts = {TRAIN: lines[:first], VALIDATION: lines[first:second], TEST: lines[second:]}
        for part, texts in cuts.items():
            start = len(parts[part]) + 1
            parts[part] += [RawRow(part, n, text, word) for n, text in enumerate(texts, start)]
    return RawData(STEM, origin, parts, subject="movie review")


def _pair_in(folder: Path) -> dict[str, Path] | None:
    pair = {}
    for side in SIDES:
        names = (f"{STEM}.{side}", f"{STEM}.{side}.gz")
        found = [folder / name for name in names if (folder / name).is_file()]
        if found:
            pair[side] = found[0]
    if len(pair) == 1:
        (side,) = SIDES.keys() - pair.keys()
        raise UserError(
            f"{next(iter(pair.values()))} needs its other half, {STEM}.{side} or {STEM}.{side}.gz, "
            "in the same folder. Put it there."
        )
    return pair or None


def _lines(path: Path) -> list[str]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise damaged_gzip(path, error) from error
    lines = _decoded(content).removesuffix("\n").split("\n")  # never at \x85 or \x0b: part of texts
    return [line.strip() for line in lines]


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")  # has a character for every byte

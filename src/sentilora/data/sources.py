"""Which origin a data set's name stands for, and its rows as they are there.

In this order: nothing, for the bundled reviews; a folder or file that exists; a name on the Hub. A
folder holds one file for each split (`train.csv`, `validation.jsonl.gz`, also `valid`, `val` or
`dev`), or the `rt-polarity` pair, or a Hub data set as the Hub lays it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sentilora.data.catalog import known_set
from sentilora.data.dataset import (
    ALL,
    SPLIT_NAMES,
    SPLITS,
    TRAIN,
    DataOptions,
    RawData,
    RawRow,
)
from sentilora.data.files import open_table
from sentilora.data.formats import known_format
from sentilora.data.hub import is_hub_folder, is_hub_name, read_hub, read_hub_folder
from sentilora.data.polarity import find_pair, read_pair
from sentilora.data.reviews import read_bundled
from sentilora.errors import UserError
from sentilora.files import expanded, looking_at

SHOWN = 10  # of the names in a folder without data


def read_source(spec: str | None, options: DataOptions) -> RawData:
    """All rows of a data set, unchecked.

    Parameters
    ----------
    spec
        None (the bundled reviews), a path, or a Hub name.

    Raises
    ------
    UserError
        Where nothing of that name can be had, or it cannot be read.
    """
    if spec is None:
        _no_revision(options)
        return read_bundled()
    try:
        raw = _read_named(spec, options)
    except OSError as error:  # a folder that must not be listed, a name longer than names can be
        raise UserError(f"The data {spec!r} cannot be read: {error.strerror or error}.") from error
    known = known_set(raw.name)
    return replace(raw, subject=known.subject) if known else raw


def files_of(spec: str | None) -> list[Path]:
    """The files on this disk that are read for a data set of that name; of a folder in the Hub's
    layout, all that may be.

    Raises
    ------
    UserError
        Where whether there is such a file or folder can't be told.
    """
    if spec is None:
        return []
    path = expanded(spec)
    with looking_at(path):
        if not path.is_dir():
            return [path] if path.is_file() else []
        within = [file for pattern in ("*", "*/*") for file in path.glob(pattern)]
        return list(_split_files(path).values()) or [file for file in within if file.is_file()]


def _read_named(spec: str, options: DataOptions) -> RawData:
    path = expanded(spec)
    if not path.exists() and is_hub_name(spec) and known_format(path) is None:
        return read_hub(spec, options)
    _no_revision(options)
    read = _read_folder if path.is_dir() else _read_file
    return read(path, spec, options)


def _no_revision(options: DataOptions) -> None:
    if options.revision is not None:
        raise UserError(
            f"The revision {options.revision!r} is for data sets on the Hugging Face Hub, and this "
            "data is not from there. Leave it out."
        )


def _read_file(path: Path, origin: str, options: DataOptions) -> RawData:
    pair = find_pair(path) if path.exists() else None
    if pair:
        return read_pair(pair, origin)
    rows, notes = _table_rows(path, ALL, options)
    return RawData(path.name.partition(".")[0] or path.name, origin, {ALL: rows}, notes=notes)


def _read_folder(folder: Path, origin: str, options: DataOptions) -> RawData:
    files = _split_files(folder)
    if files:
        parts: dict[str, list[RawRow]] = {}
        notes: tuple[str, ...] = ()
        for part, path in files.items():
            with _naming(path, part):
                parts[part], said = _table_rows(path, part, options)
            notes += said
        return RawData(folder.resolve().name, origin, parts, notes=notes)
    pair = find_pair(folder)
    if pair:
        return read_pair(pair, origin)
    if is_hub_folder(folder):
        return read_hub_folder(folder, origin, options)
    there = sorted(path.name for path in folder.iterdir())
    raise UserError(
        f"The folder {folder} holds no data that could be read: it needs a file called train, and "
        f"can have validation and test (such as train.csv, test.jsonl.gz). It has: "
        f"{', '.join(there[:SHOWN]) or 'nothing'}{', …' if len(there) > SHOWN else ''}."
    )


@contextmanager
def _naming(path: Path, part: str) -> Iterator[None]:
    """Has an error say in which of a folder's files it is, and how to do without that one."""
    try:
        yield
    except UserError as error:
        message = str(error) if str(path) in str(error) else f"{path}: {error}"
        if part != TRAIN:
            message += (
                f" If its rows have no labels, take the file out of the folder: for training, "
                f"{part} rows are then cut off the others."
            )
        raise UserError(message) from error


def _split_files(folder: Path) -> dict[str, Path]:
    """The file of each split, in the order train, validation, test."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        part = SPLIT_NAMES.get(path.name.partition(".")[0].lower())
        if part is None or not path.is_file() or known_format(path) is None:
            continue
        if part in found:
            raise UserError(
                f"The folder {folder} holds two files for the {part} split, {found[part].name} and "
                f"{path.name}. Keep one of them there."
            )
        found[part] = path
    return {part: found[part] for part in SPLITS if part in found}


def _table_rows(
    path: Path, part: str, options: DataOptions
) -> tuple[list[RawRow], tuple[str, ...]]:
    table = open_table(path)
    text_column, label_column = options.columns(table.columns)
    others = options.other_columns(table.columns)
    rows = [
        RawRow(
            part,
            record.number,
            record.values.get(text_column),
            record.values.get(label_column),
            record.error,
            {name: record.values[name] for name in others if name in record.values},
        )
        for record in table
    ]
    return rows, tuple(table.notes)

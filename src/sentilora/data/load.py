"""From what the user calls the data to checked rows in splits: `load_data`."""

from __future__ import annotations

from dataclasses import replace

from sentilora.data import checks
from sentilora.data.dataset import (
    ALL,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    DataOptions,
    DataReport,
    DataSet,
    Example,
    Problem,
    RawData,
    RawRow,
    count_rows,
)
from sentilora.data.labels import (
    LabelMapping,
    class_mapping,
    found_mapping,
    given_mapping,
    label_word,
    meant_labels,
)
from sentilora.data.sources import read_source
from sentilora.data.splits import SHARE, cut_splits
from sentilora.errors import UserError


def load_data(spec: str | None, options: DataOptions | None = None) -> DataSet:
    """Reads, checks and divides labelled texts.

    Parameters
    ----------
    spec
        None for the bundled reviews; a CSV, TSV, JSON Lines or Parquet file; a folder of such
        files, one a split, or of the `rt-polarity` pair; or the name of a Hub data set.
    options
        How to understand the rows, and what for; see `DataOptions`.

    Returns
    -------
    DataSet
        To train on: train, validation and test, those that the source lacks cut off its training
        rows. To evaluate on or to audit: the source's splits, or the one split "all" where it has
        none.

    Raises
    ------
    UserError
        Where the data cannot be had, read or used; `checks` lists the reasons.
    """
    options = options or DataOptions()
    raw = read_source(spec, options)
    rows = [row for part in _parts(raw).values() for row in part]
    readable, problems = checks.readable_rows(rows)
    mapping = _mapping(readable, raw, options)
    examples, found = checks.labelled_rows(readable, mapping)
    problems += found
    if options.purpose != "audit":
        examples, found = checks.without_conflicts(examples)
        problems += found
    if not examples:
        raise UserError(_nothing_usable(raw, problems))

    splits = _by_split(examples)
    notes = [*raw.notes, *mapping.notes, *_emptied(raw, splits)]
    training = TRAIN if TRAIN in splits else ALL
    if training in splits and options.purpose != "audit":
        evaluation = {split: rows for split, rows in splits.items() if split != training}
        splits[training], found = checks.without_overlap(splits[training], evaluation)
        problems += found + checks.repeats(splits[training])
    if options.purpose == "train":
        if training not in splits:
            raise UserError(
                f"{raw.name} has no training rows, only {' and '.join(splits)}. Add a train file, "
                "or use it with `sentilora evaluate`."
            )
        splits, said = _complete(splits, training, mapping.labels, raw.name, options.seed)
        notes += said
    used = sum(map(len, splits.values()))
    return DataSet(
        name=raw.name,
        origin=raw.origin,
        labels=mapping.labels,
        subject=options.subject or raw.subject,
        splits={split: tuple(rows) for split, rows in splits.items()},
        report=DataReport(len(rows), used, tuple(problems)),
        notes=tuple(notes),
        hub=raw.hub,
    )


def _parts(raw: RawData) -> dict[str, list[RawRow]]:
    """The source's parts; training rows alone are a source without splits."""
    if list(raw.parts) != [TRAIN]:
        return raw.parts
    return {ALL: [replace(row, part=ALL) for row in raw.parts[TRAIN]]}


def _mapping(rows: list[RawRow], raw: RawData, options: DataOptions) -> LabelMapping:
    """Decides on the labels: given, named by the source, or found in the rows."""
    labels = options.labels or meant_labels(options.label_map or {})
    if labels:
        return given_mapping(labels, options.label_map, raw.class_names)
    if raw.class_names:
        return class_mapping(raw.class_names)
    mapping = found_mapping(word for row in rows if (word := label_word(row.label)))
    if options.purpose != "evaluate" and len(mapping.labels) == 1:
        raise UserError(
            f"All usable rows of {raw.name} have one label, {mapping.labels[0]!r}; a classifier "
            "needs two or more. Is it the right column? --label-column names another."
        )
    return mapping


def _by_split(examples: list[Example]) -> dict[str, list[Example]]:
    splits: dict[str, list[Example]] = {}
    for example in examples:
        splits.setdefault(example.split, []).append(example)
    return splits


def _emptied(raw: RawData, splits: dict[str, list[Example]]) -> list[str]:
    return [
        f"The {part} split of {raw.name} has no usable row ({count_rows(len(raw.parts[part]))} "
        "read)."
        for part in SPLITS
        if part in raw.parts and len(raw.parts) > 1 and part not in splits
    ]


def _complete(
    splits: dict[str, list[Example]],
    training: str,
    labels: tuple[str, ...],
    name: str,
    seed: int,
) -> tuple[dict[str, list[Example]], list[str]]:
    """Train, validation and test, the missing ones cut off the training rows; and what to say."""
    missing = [split for split in (VALIDATION, TEST) if split not in splits]
    cut = cut_splits(splits.pop(training), missing, seed)
    complete = {split: cut[split] if split in cut else splits[split] for split in SPLITS}
    notes = []
    if missing:
        sizes = " and ".join(f"{count_rows(len(cut[split]))} for {split}" for split in missing)
        notes.append(
            f"{name} has no {' and no '.join(missing)} split: {sizes} were cut off the training "
            f"rows ({SHARE:.0%} each, every label in proportion, seed {seed})."
        )
    notes += checks.require_every_label(complete, labels, missing, name)
    return complete, notes


def _nothing_usable(raw: RawData, problems: list[Problem]) -> str:
    read = sum(map(len, raw.parts.values()))
    if not read:
        return f"{raw.name} holds no rows. Give data with labelled texts."
    lines = DataReport(read, 0, tuple(problems)).lines()
    return f"{raw.name} has no usable row: {'; '.join(lines)}. Mend it or name other columns."

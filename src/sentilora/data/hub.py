"""Rows from a data set on the Hugging Face Hub, or from a folder that holds one as the Hub does.

`datasets` does the fetching, caching and reading. What is added: short names for well-known sets,
the names of the classes in place of their ids, unlabelled rows (-1) as rows without a label, and
errors that say what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.data.catalog import KnownSet, known_set
from sentilora.data.dataset import SPLIT_NAMES, DataOptions, HubAddress, RawData, RawRow
from sentilora.errors import UserError, first_line
from sentilora.hub_failures import hub_failures

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.\w+$")
_WAYS_OUT = (
    "Give a file (CSV, TSV, JSON Lines, Parquet) or a folder of train/validation/test files "
    "instead, or leave --data out for the bundled reviews."
)


def is_hub_name(spec: str) -> bool:
    """Whether a data set on the Hub could be called so."""
    return _NAME.fullmatch(spec) is not None


def is_hub_folder(folder: Path) -> bool:
    """Whether a folder holds numbered shards (`train-00000-of-00001.parquet`), as the Hub's do."""
    return any(
        _SHARD.search(path.name) for pattern in ("*", "*/*") for path in folder.glob(pattern)
    )


def read_hub(spec: str, options: DataOptions) -> RawData:
    """The rows of a data set on the Hub, by name or alias.

    Raises
    ------
    UserError
        Where it cannot be had (no such name, no network), has no split or column of a known name.
    """
    known = known_set(spec)
    hub_name = spec if known is None else known.hub
    if hub_name is None:
        raise UserError(
            f"{spec} is not on the Hugging Face Hub in a form that can be loaded, and there is no "
            f"folder of that name here. {_WAYS_OUT}"
        )
    name = known.name if known else hub_name.rpartition("/")[2]
    address = HubAddress(
        hub_name,
        known.config if known else None,
        options.revision or (known.revision if known else None),
    )
    return _read(hub_name, name, address, options, known=known)


def read_hub_folder(folder: Path, origin: str, options: DataOptions) -> RawData:
    """The rows of a data set that lies on disk in the Hub's layout."""
    return _read(str(folder), folder.resolve().name, None, options, origin)


def _read(
    path: str,
    name: str,
    hub: HubAddress | None,
    options: DataOptions,
    origin: str | None = None,
    known: KnownSet | None = None,
) -> RawData:
    loaded = _load(path, options.revision, known)
    parts: dict[str, list[RawRow]] = {}
    class_names: tuple[str, ...] | None = None
    unused = []
    for split, dataset in loaded.items():
        part = SPLIT_NAMES.get(str(split))
        if part is None or part in parts:
            unused.append(str(split))
            continue
        parts[part], class_names = _rows(dataset, part, options, known.words if known else {})
    if not parts:
        raise UserError(
            f"The data set {path} has no split called train, validation or test; it has: "
            f"{', '.join(unused)}. {_WAYS_OUT}"
        )
    notes = (f"Not used: the split {', '.join(unused)} of {path}.",) if unused else ()
    return RawData(name, origin or path, parts, class_names=class_names, hub=hub, notes=notes)


def _load(path: str, revision: str | None, known: KnownSet | None) -> DatasetDict:
    import datasets
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    try:
        if known is None:
            return datasets.load_dataset(path, revision=revision)
        return datasets.load_dataset(path, known.config, revision=revision or known.revision)
    except DatasetNotFoundError as error:
        raise UserError(
            f"There is no file or folder {path!r}, and no data set of that name "
            f"(or revision) on the Hugging Face Hub that you have access to. {_WAYS_OUT}"
        ) from error
    except ConnectionError as error:
        raise UserError(
            f"There is no file or folder {path!r}, and the Hugging Face Hub cannot be reached to "
            f"look for a data set of that name ({first_line(error)}). {_WAYS_OUT}"
        ) from error
    except (DatasetsError, ValueError, *hub_failures()) as error:  # RuntimeError: of scripts, too
        raise UserError(
            f"The data set {path} cannot be loaded: {first_line(error)}. {_WAYS_OUT}"
        ) from error


def _rows(
    dataset: Dataset, part: str, options: DataOptions, words: Mapping[str, str]
) -> tuple[list[RawRow], tuple[str, ...] | None]:
    from datasets import ClassLabel, Value

    text_column, label_column = options.columns(dataset.column_names)
    feature = dataset.features[label_column]
    names = tuple(feature.names) if isinstance(feature, ClassLabel) else None
    texts, labels = dataset[text_column], dataset[label_column]
    rows = [
        RawRow(part, number, text, words.get(str(label), _named(label, names)))
        for number, (text, label) in enumerate(zip(texts, labels, strict=True), start=1)
    ]
    others = [
        name
        for name in options.other_columns(dataset.column_names)
        if isinstance(dataset.features[name], ClassLabel | Value)  # no pictures, no sound
    ]
    if others:
        cells = zip(*(dataset[name] for name in others), strict=True)
        rows = [
            replace(row, others=dict(zip(others, of, strict=True)))
            for row, of in zip(rows, cells, strict=True)
        ]
    return rows, names


def _named(label: Any, names: tuple[str, ...] | None) -> object:
    if names is None or label is None:
        return label
    return names[label] if label >= 0 else None  # -1: the labels of a test split kept secret

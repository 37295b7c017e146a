"""What is to be compared, as a command's options or a YAML file say it.

    data: rotten_tomatoes            # as `train --data` takes it; left out, the bundled reviews
    models: [smollm2, distilgpt2]
    variants:                        # options of `train`, without their dashes
      query and value: {}
      every projection: {targets: all}
      rank 1: {rank: 1}
    seeds: 3                         # how many, from 0 on; or a list of them
    options: {epochs: 1}             # for every run; a list stands for words with commas between
    runs: [runs/finished]            # finished runs to stand beside them

Every model is trained in every variant with every seed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sentilora.errors import UserError
from sentilora.names import check_names

Options = Mapping[str, Any]

DEFAULT_VARIANT = "default"


@dataclass(frozen=True)
class Spec:
    """What is compared.

    data
        The rows, as `load_data` takes them; None for the bundled reviews.
    models, variants, seeds
        Each model is trained with each variant's options and each seed.
    options
        Options of `train` for every run.
    runs
        Folders of finished runs to be measured beside them.
    """

    data: str | None = None
    models: tuple[str, ...] = ()
    variants: Mapping[str, Options] = field(default_factory=lambda: {DEFAULT_VARIANT: {}})
    seeds: tuple[int, ...] = (0,)
    options: Options = field(default_factory=dict)
    runs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.models and not self.runs:
            raise UserError("There is nothing to compare. Name --models, or finished runs.")
        if len(set(self.seeds)) < len(self.seeds) or not self.seeds:
            raise UserError("Seeds must be one or more, each another one.")


def read_spec(path: Path, known_options: Collection[str]) -> Spec:
    """The comparison that a YAML file describes.

    `known_options` are the names of `train`'s options that may stand in it.

    Raises UserError where it can't be read, holds an unknown key, or a value of the wrong kind.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read: {error}.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no keys. It needs `models:` or `runs:`, and may hold more.")
    check_names(values, [each.name for each in fields(Spec)], "key", str(path))
    variants = _mapping(values, "variants", path) or {DEFAULT_VARIANT: {}}
    variants = {
        str(name): _options(
            _mapping(variants, name, path), known_options, f"{path}, variant {name!r}"
        )
        for name in variants
    }
    data = values.get("data")
    if data is not None and not isinstance(data, str):
        raise UserError(f"{path}: data must be a name or a path, not {data!r}.")
    return Spec(
        data=data,
        models=_names(values, "models", path),
        variants=variants,
        seeds=seeds_of(values.get("seeds", 1), str(path)),
        options=_options(_mapping(values, "options", path), known_options, f"{path}, options"),
        runs=_names(values, "runs", path),
    )


def seeds_of(value: Any, where: str) -> tuple[int, ...]:
    """The seeds that a number of them, or a list, stands for."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return tuple(range(value))
    if isinstance(value, list) and all(type(seed) is int and seed >= 0 for seed in value):
        return tuple(value)
    raise UserError(f"{where}: seeds must be how many (1 or more), or a list of them: {value!r}.")


def _options(given: Options, known: Collection[str], where: str) -> dict[str, Any]:
    check_names(given, known, "option of train", where)
    return {name: _option(name, value, where) for name, value in given.items()}


def _option(name: str, value: Any, where: str) -> Any:
    """One value: a list of words as a command line has it, with commas between."""
    if not isinstance(value, list | dict):
        return value
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return ",".join(value)
    raise UserError(
        f"{where}: {name} must be one value or a list of words, not {value!r}. Words such as yes, "
        "no and numbers need quotation marks in YAML."
    )


def _mapping(values: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    found = values.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UserError(f"{path}: {name} must be names with values, not {found!r}.")
    return dict(found)


def _names(values: Mapping[str, Any], name: str, path: Path) -> tuple[str, ...]:
    found = values.get(name) or []
    found = [found] if isinstance(found, str) else found
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise UserError(f"{path}: {name} must be a list of names, not {found!r}.")
    return tuple(found)

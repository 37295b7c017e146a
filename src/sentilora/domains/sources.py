"""The domains' data sets: by the catalogue's names, or as any other data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sentilora.data import DataOptions, DataSet, load_data
from sentilora.data.catalog import known_set, nearest
from sentilora.data.hub import is_hub_name
from sentilora.errors import UserError


@dataclass(frozen=True)
class Domain:
    """A data set that is trained on and measured on.

    spec
        As `load_data` and `train --data` take it.
    """

    name: str
    spec: str
    dataset: DataSet


def load_domains(names: Sequence[str], root: Path | None, options: DataOptions) -> list[Domain]:
    """The data sets of those names: folders in `root`, paths, or sets on the Hub.

    `options` are the runs' own, so that all is understood, and a missing split cut, as they do it.

    Raises UserError for fewer than two, a name twice, an unknown one, or data that can't be used.
    """
    if len(names) < 2:
        raise UserError("Domains are measured against each other. Name two or more with --on.")
    domains = []
    for name in names:
        spec = _find(name, root)
        dataset = load_data(spec, options)
        domains.append(Domain(dataset.name, spec, dataset))
    named = [domain.name for domain in domains]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise UserError(f"{twice[0]} is named twice. Give each data set once.")
    return domains


def _find(name: str, root: Path | None) -> str:
    if root is not None and (root / name).exists():
        return str((root / name).absolute())
    if Path(name).exists():
        return str(Path(name).absolute())
    if known_set(name) is None and ("/" not in name or not is_hub_name(name)):
        close = nearest(name)
        meant = f" Do you mean {close}?" if close else ""
        place = f" in {root} or" if root is not None else ""
        raise UserError(
            f"There is no data {name!r}{place} here, and no known set of that name.{meant} Give a "
            "file, a folder, or a Hub data set as owner/name."
        )
    return name

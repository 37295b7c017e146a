"""The domains' data sets: by the catalogue's names, or as any other data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sentilora.data import DataOptions, DataSet, load_data, parse_labels_option
from sentilora.data.catalog import known_set, nearest, on_the_hub
from sentilora.data.hub import is_hub_name
from sentilora.domains.labels import apart, labels_option, unified
from sentilora.errors import UserError


@dataclass(frozen=True)
class Domain:
    """A data set that is trained on and measured on.

    spec
        As `load_data` and `train --data` take it.
    labels
        As `train --labels` takes it; None where the labels go by the words that they have there.
    """

    name: str
    spec: str
    dataset: DataSet
    labels: str | None = None


def load_domains(names: Sequence[str], root: Path | None, options: DataOptions) -> list[Domain]:
    """The data sets of those names: folders in `root`, paths, or sets on the Hub.

    `options` are the runs' own, so that all is understood, and a missing split cut, as they do it.
    Labels that are spelled in several ways come under one word.

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
    words = unified([domain.dataset.labels for domain in domains])
    return [_worded(domain, its, options) for domain, its in zip(domains, words, strict=True)]


def tell_apart(domains: Sequence[Domain], *, mixture: bool) -> list[str]:
    """What is to be said of the domains' labels before anything is trained.

    Raises UserError where no model could be measured on another domain than its own.
    """
    sets = {domain.name: domain.dataset.labels for domain in domains}
    pairs = apart(sets)
    if len(pairs) == len(sets) * (len(sets) - 1) // 2 and not mixture:
        known = "; ".join(f"{name}: {', '.join(labels)}" for name, labels in sets.items())
        raise UserError(
            "No two of the domains have two labels in common, so no model can be measured on "
            f"another's domain ({known}). Say with --options what each value means, as in "
            '"--labels 0=negative,1=positive", or choose other domains.'
        )
    notes = [
        f"The labels of {domain.name} are called as the other domains call them: {domain.labels}."
        for domain in domains
        if domain.labels is not None
    ]
    return notes + [
        f"{one} ({', '.join(sets[one])}) and {other} ({', '.join(sets[other])}) have fewer than "
        "two labels in common: neither's model can be measured on the other."
        for one, other in pairs
    ]


def _worded(domain: Domain, words: tuple[str, ...], options: DataOptions) -> Domain:
    """The domain with its labels called by `words`, read anew as its run will read it."""
    if domain.dataset.labels == words:
        return domain
    option = labels_option(domain.dataset.labels, words)
    labels, meanings = parse_labels_option(option)
    understood = replace(options, labels=labels, label_map=meanings)
    return replace(domain, dataset=load_data(domain.spec, understood), labels=option)


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
            "file, a folder, a Hub data set as owner/name, or what is known on the Hub: "
            f"{on_the_hub()}."
        )
    return name

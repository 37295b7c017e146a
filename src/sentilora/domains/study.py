"""The runs of a study over domains, and the matrix once they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sentilora.artifact import Artifact
from sentilora.data.dataset import row_hash
from sentilora.domains.matrix import Answers, Cell, DomainRows, transfer_cells
from sentilora.domains.mixture import MIXTURE, mixture_template, write_mixture
from sentilora.domains.scoring import Answering
from sentilora.domains.sources import Domain
from sentilora.planned_runs import ROW_OPTIONS, PlannedRun, run_folder


def planned(
    domains: Sequence[Domain],
    model: str,
    seed: int,
    options: Mapping[str, Any],
    study: Path,
    *,
    mixture: bool,
) -> list[PlannedRun]:
    """A run for each domain and, with `mixture`, one for all of them, whose rows are written."""
    shared = {**options, "model": model, "seed": seed}
    wanted = {domain.name: {**shared, "data": domain.spec} for domain in domains}
    if mixture:
        folder = write_mixture(domains, study / "data", seed).absolute()
        template = mixture_template(domains).replace("\n", "\\n")  # as the command takes it
        kept = {name: value for name, value in shared.items() if name not in ROW_OPTIONS}
        wanted[MIXTURE] = {**kept, "data": str(folder), "template": template}
    return [
        PlannedRun(name, None, run_folder(study, name), asked) for name, asked in wanted.items()
    ]


def matrix(
    domains: Sequence[Domain], runs: Sequence[PlannedRun], answering: Answering
) -> tuple[list[Cell], list[str]]:
    """The transfer matrix of finished runs, and what is to be said beside it."""
    rows = [_rows(domain) for domain in domains]
    trained = {domain.name: _hashes(domain, "train") for domain in domains}
    trained[MIXTURE] = [key for keys in trained.values() for key in keys]
    models, untuned = {}, {}
    for run in runs:
        labels = Artifact.read(run.folder).task.labels
        seen = frozenset(trained[run.contender])
        scores = answering.ask(run.folder, domains, mixed=run.contender == MIXTURE)
        models[run.contender] = {name: Answers(labels, said, seen) for name, said in scores.items()}
        for domain in domains:
            if domain.name == run.contender:
                (said,) = answering.ask(run.folder, [domain], untuned=True).values()
                untuned[domain.name] = Answers(labels, said, frozenset())
    return transfer_cells(rows, models, untuned)


def _rows(domain: Domain) -> DomainRows:
    gold = tuple(row.label for row in domain.dataset.test)
    return DomainRows(domain.name, domain.dataset.labels, gold, tuple(_hashes(domain, "test")))


def _hashes(domain: Domain, split: str) -> list[str]:
    return [row_hash(row.text) for row in domain.dataset.split(split)]

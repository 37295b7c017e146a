"""The runs of a study over domains, and the matrix once they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sentilora.artifact import Artifact
from sentilora.data import DataSet, load_data
from sentilora.data.dataset import TRAIN, VALIDATION, row_hash
from sentilora.domains.matrix import Answers, Cell, DomainRows, transfer_cells
from sentilora.domains.mixture import MIXTURE, headed, mixture_template, write_mixture
from sentilora.domains.scoring import Answering
from sentilora.domains.sources import Domain
from sentilora.errors import UserError
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
    """A run for each domain and, with `mixture`, one for all of them, whose rows are written.

    Raises UserError for a domain that is called as the mixture is, or rows that can't be mixed.
    """
    shared = {**options, "model": model, "seed": seed}
    wanted = {
        domain.name: {
            **shared,
            "data": domain.spec,
            **({"labels": domain.labels} if domain.labels is not None else {}),
        }
        for domain in domains
    }
    if MIXTURE in wanted:
        raise UserError(
            f"A data set is called {MIXTURE}, which is the name of the model of all domains. Give "
            "its file or folder another name."
        )
    if mixture:
        folder = write_mixture(domains, study / "data", seed).absolute()
        load_data(str(folder))  # refuses now what its run would refuse after all the others
        template = mixture_template(domains).replace("\n", "\\n")  # as the command takes it
        kept = {name: value for name, value in shared.items() if name not in ROW_OPTIONS}
        wanted[MIXTURE] = {**kept, "data": str(folder), "template": template}
    return [
        PlannedRun(name, None, run_folder(study, name), asked) for name, asked in wanted.items()
    ]


def check_rows(domains: Sequence[Domain], runs: Sequence[PlannedRun]) -> None:
    """Make sure that the finished ones of `runs` are of the domains' present rows.

    The mixture's needn't be looked at: its data is a folder that is named by what is in it.

    Raises UserError for a run that was trained, or chosen, by other rows than its domain has now.
    """
    present = {domain.name: domain.dataset for domain in domains}
    for run in runs:
        if run.state != "finished" or run.contender not in present:
            continue
        artifact, now = Artifact.read(run.folder), present[run.contender]
        same = (
            sorted(artifact.rows.train) == _hashes(now, TRAIN)
            and sorted(artifact.rows.validation) == _hashes(now, VALIDATION)
            and artifact.task.labels == now.labels
        )
        if not same:
            raise UserError(
                f"The rows of {now.name} ({now.origin}) aren't those that {run.folder} was trained "
                "with: the data was changed since. Choose another folder with -o, or remove that "
                "run, so that it is trained anew."
            )


def matrix(
    domains: Sequence[Domain], runs: Sequence[PlannedRun], answering: Answering
) -> tuple[list[Cell], list[str]]:
    """The transfer matrix of finished runs, and what is to be said beside it."""
    models, untuned = {}, {}
    for run in runs:
        artifact, mixed = Artifact.read(run.folder), run.contender == MIXTURE
        labels = artifact.task.labels
        seen = frozenset((*artifact.rows.train, *artifact.rows.validation))
        if mixed:
            seen = _seen_mixed(domains, seen)
        scores = answering.ask(run.folder, domains, mixed=mixed)
        models[run.contender] = {
            name: Answers(labels, said, seen, artifact.conformal) for name, said in scores.items()
        }
        for domain in domains:
            if domain.name == run.contender:
                (said,) = answering.ask(run.folder, [domain], untuned=True).values()
                untuned[domain.name] = Answers(labels, said, frozenset())
    return transfer_cells([_rows(domain) for domain in domains], models, untuned)


def _seen_mixed(domains: Sequence[Domain], seen: frozenset[str]) -> frozenset[str]:
    """The hashes of test rows whose text is among the mixture's, under any heading.

    `seen` has the texts' hashes with their headings, as the mixture was given them.
    """
    return frozenset(
        row_hash(row.text)
        for domain in domains
        for row in domain.dataset.test
        if any(row_hash(headed(other, row.text)) in seen for other in domains)
    )


def _rows(domain: Domain) -> DomainRows:
    test = domain.dataset.test
    return DomainRows(
        domain.name,
        domain.dataset.labels,
        gold=tuple(row.label for row in test),
        keys=tuple(row_hash(row.text) for row in test),
    )


def _hashes(dataset: DataSet, split: str) -> list[str]:
    return sorted(row_hash(row.text) for row in dataset.split(split))

"""`sentilora domains`: train on each of several domains, measure on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sentilora.cli.console import echo_json, out, say
from sentilora.cli.evaluate import with_progress
from sentilora.cli.options import AsJson, Device, DType
from sentilora.cli.study_report import keep_report

RESULT = "domains.json"


def domains(
    on: Annotated[
        str,
        typer.Option(
            "--on",
            help="Data sets, with commas between: files, folders, Hub names, or known ones: "
            "rotten_tomatoes, sst2, imdb, financial_phrasebank, twitter_financial_news, "
            "tweet_eval_sentiment.",
        ),
    ],
    data_root: Annotated[
        Path | None, typer.Option(help="A folder in which the data sets' folders are.")
    ] = None,
    model: Annotated[str, typer.Option(help="The base, as `train --model` takes it.")] = "smollm2",
    mixture: Annotated[
        bool,
        typer.Option(help="Train one more model on all of the domains together."),
    ] = True,
    options: Annotated[
        str, typer.Option(help="Options of `train` for every run, as '--epochs 1'.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of every run, and of the mixture's draw.")] = 0,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where runs and results go.")
    ] = Path("runs/domains"),
    as_json: AsJson = False,
    device: Device = "auto",
    dtype: DType = None,
) -> None:
    """Tune a model on each domain and one on all of them, and measure each on every domain.

    The same command goes on where it was stopped.
    """
    from sentilora.cli.rows import data_options
    from sentilora.cli.training_runs import train_all
    from sentilora.domains import Answering, check_rows, load_domains, matrix, planned, tell_apart
    from sentilora.domains.settings import differing, settings_of
    from sentilora.domains.tables import matrix_tables
    from sentilora.files import write_json
    from sentilora.planned_runs import RUNS, keep_plan
    from sentilora.runs import check_place

    check_place(output)
    where = {"device": device, "dtype": dtype, "trust_remote_code": False}
    shared = _checked(model, where, options)
    names = [name.strip() for name in on.split(",") if name.strip()]
    there = load_domains(names, data_root, data_options({**shared, "seed": seed}))
    for line in tell_apart(there, mixture=mixture):
        say(line)
    runs = planned(there, model, seed, shared, output, mixture=mixture)
    check_rows(there, runs)
    keep_plan(runs, output)
    train_all(runs)
    answering = Answering(output / "scores", with_progress, {name: shared[name] for name in where})
    cells, notes = matrix(there, runs, answering)
    settings = settings_of(runs)
    notes += differing(settings)
    found = {
        "cells": [cell.to_dict() for cell in cells],
        "settings": settings,
        "notes": notes,
    }
    write_json(output / RESULT, found)

    def page() -> str:
        from sentilora.report.domains import domains_page

        return domains_page(cells, notes)

    report = keep_report(output, page)
    if as_json:
        echo_json(found, indent=1)
        return
    out().print(matrix_tables(cells, notes))
    say(f"\nThe figures are in {output / RESULT}, the adapters in {output / RUNS}. {report}")


def _checked(model: str, where: Mapping[str, Any], options: str) -> dict[str, Any]:
    """The options of every run: `where` it runs, and those given, which win.

    Raises UserError for what every run would refuse, before rows are read, or even fetched.
    """
    from sentilora.cli.choices import Choices
    from sentilora.cli.training_runs import parameters_in

    defaults, given = parameters_in(options, "--options")
    shared = {**where, **given}
    Choices.of({**defaults, "model": model, **shared}, given)
    return shared

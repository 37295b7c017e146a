"""`sentilora compare`: bases and adapters on the same rows, and whether they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentilora.cli.console import echo_json, out, say
from sentilora.cli.evaluate import with_progress
from sentilora.cli.options import AsJson, Device, DType
from sentilora.cli.study_report import keep_report
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.comparison import Comparison, Spec
    from sentilora.planned_runs import PlannedRun

RESULT = "comparison.json"


def compare(
    spec: Annotated[
        Path | None,
        typer.Argument(help="A YAML file that says what to compare, in place of the options."),
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="Bases, with commas between, as `train --model` takes them.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="As `train --data`; by default the bundled reviews.")
    ] = None,
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variant",
            help="Options of `train` that each base is trained with, as '--rank 1'; '' for the "
            "defaults. Give it once for each variant.",
        ),
    ] = None,
    options: Annotated[
        str, typer.Option(help="Options of `train` for every run, as '--epochs 1'.")
    ] = "",
    seeds: Annotated[int, typer.Option(help="How many seeds, from 0 on.")] = 1,
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", help="A finished run to stand beside them; may be repeated."),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where runs and results go.")
    ] = Path("runs/comparison"),
    as_json: AsJson = False,
    device: Device = "auto",
    dtype: DType = None,
) -> None:
    """Train what isn't trained yet, and measure all of it on the same rows.

    The same command goes on with a comparison that was stopped.
    """
    from sentilora.cli import training_runs
    from sentilora.cli.looking_ahead import look_ahead
    from sentilora.comparison import measure_runs, planned
    from sentilora.planned_runs import keep_plan
    from sentilora.runs import absolute, check_place

    check_place(output)
    if spec is not None:
        if models or data or variants or options or runs or seeds != 1:
            raise UserError("Say what to compare in the YAML file or by options, not in both.")
        asked = _read(spec)
    else:
        asked = _from_options(models, data, variants, options, seeds, runs)
    where = {"device": device, "dtype": dtype, "trust_remote_code": False}
    asked = _with_splits(replace(asked, options={**where, **asked.options}), output)
    every = planned(asked, absolute(asked.data), output)
    look_ahead(every)
    keep_plan(every, output)
    training_runs.train_all(every)
    found = measure_runs(
        every,
        # Runs that are trained here know how their rows are understood.
        None if asked.models else asked.data,
        output / "measured",
        with_progress,
        {name: asked.options[name] for name in where},
    )
    _show(found, every, output, as_json)


def _read(path: Path) -> Spec:
    from sentilora.cli import training_runs
    from sentilora.comparison import read_spec

    spec = read_spec(path, training_runs.known_options())
    variants = {
        name: training_runs.understood(options, f"{path}, variant {name!r}")
        for name, options in spec.variants.items()
    }
    options = training_runs.understood(spec.options, f"{path}, options")
    return replace(spec, variants=variants, options=options)


def _from_options(
    models: str | None,
    data: str | None,
    variants: Sequence[str] | None,
    options: str,
    seeds: int,
    runs: Sequence[Path] | None,
) -> Spec:
    from sentilora.cli.training_runs import options_in
    from sentilora.comparison import Spec
    from sentilora.comparison.spec import DEFAULT_VARIANT, seeds_of

    each = {
        " ".join(variant.split()).replace("--", "") or DEFAULT_VARIANT: options_in(
            variant, f"--variant {variant!r}"
        )
        for variant in variants or [""]
    }
    return Spec(
        data=data,
        models=tuple(name.strip() for name in (models or "").split(",") if name.strip()),
        variants=each,
        seeds=seeds_of(seeds, "--seeds"),
        options=options_in(options, "--options"),
        runs=tuple(map(str, runs or ())),
    )


def _with_splits(spec: Spec, output: Path) -> Spec:
    """`spec` on data that has all its splits."""
    from sentilora.cli.rows import data_options
    from sentilora.comparison.rows import with_splits
    from sentilora.data.labels import sayable
    from sentilora.planned_runs import ROW_OPTIONS

    if not spec.models:
        return spec
    understood = data_options(spec.options)
    cut = with_splits(spec.data, understood, output / "data")
    if cut is None:
        return spec
    folder, labels = cut
    say(f"The data lacks a split. All three were cut once, for all runs: {folder}")
    kept = {name: value for name, value in spec.options.items() if name not in ROW_OPTIONS}
    if sayable(labels):
        kept["labels"] = ",".join(labels)  # their order is a part of the prompt
    if understood.subject:
        kept["subject"] = understood.subject
    return replace(spec, data=str(folder), options=kept)


def _show(comparison: Comparison, runs: Sequence[PlannedRun], output: Path, as_json: bool) -> None:
    from sentilora.comparison.tables import comparison_tables
    from sentilora.files import write_json
    from sentilora.planned_runs import RUNS

    def page() -> str:
        from sentilora.report.comparison import comparison_page, histories

        return comparison_page(comparison, histories(runs))

    write_json(output / RESULT, comparison.to_dict())
    report = keep_report(output, page)
    if as_json:
        echo_json(comparison.to_dict(), indent=1)
        return
    out().print(comparison_tables(comparison))
    trained = any(run.options is not None for run in runs)
    adapters = f", the adapters in {output / RUNS}" if trained else ""
    say(f"\nThe figures are in {output / RESULT}{adapters}. {report}")

"""From outcomes to figures, a table and a JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from common import Job
from contenders import PRODUCT, Outcome
from rich.console import Console
from rich.table import Table
from settings import Settings

MEMORY_NOTE = (
    "Memory is the most a process held beyond what its imports took, the weights included (on a "
    "GPU: the most that torch allocated). Tokens are those of whole prompts, padding not counted."
)


@dataclass(frozen=True)
class Line:
    """One contender's figures, medians over the rounds; None where there are none.

    of_product
        Rows/s of the product over this one's: how many times faster the product is.
    of_limit
        This one's rows/s over the arithmetic limit's.
    same
        How its results compare with the product's.
    """

    name: str
    batch: int | None
    rows_per_second: float | None = None
    slowest: float | None = None
    fastest: float | None = None
    tokens_per_second: float | None = None
    memory: float | None = None
    of_product: float | None = None
    of_limit: float | None = None
    same: str = ""
    note: str = ""


def lines(
    outcomes: Sequence[Outcome],
    limits: Sequence[dict[str, Any]],
    job: Job,
    compared: Callable[[Outcome, Outcome], str],
) -> list[Line]:
    """One line a contender and one for the limit; `compared` judges an outcome by the product's."""
    product = next(one for one in outcomes if one.contender.name == PRODUCT)
    limit = median(each["rows_per_second"] for each in limits)
    best = median(_rates(product, job))
    found = [_line(outcome, job, limit, best, compared(outcome, product)) for outcome in outcomes]
    gflops = median(each["rate"] for each in limits) / 1e9
    tokens = limit * _tokens(job)
    return [
        *found,
        Line("arithmetic limit", None, limit, tokens_per_second=tokens, of_product=best / limit,
             of_limit=1.0, note=f"{gflops:,.0f} GFLOP/s, {limits[0]['row'] / 1e9:.1f} GFLOP a row"),
    ]  # fmt: skip


def _line(outcome: Outcome, job: Job, limit: float, best: float, same: str) -> Line:
    if outcome.missing is not None or not outcome.passes:
        return Line(outcome.contender.name, None, note=outcome.missing or "")
    rates = _rates(outcome, job)
    rate = median(rates)
    return Line(
        name=outcome.contender.name,
        batch=outcome.batch,
        rows_per_second=rate,
        slowest=min(rates),
        fastest=max(rates),
        tokens_per_second=rate * _tokens(job),
        memory=median(each["memory"] for each in outcome.passes),
        of_product=best / rate,
        of_limit=rate / limit,
        same=same,
        note=outcome.passes[0].get("path", ""),
    )


def _rates(outcome: Outcome, job: Job) -> list[float]:
    return [len(job.prompts) / each["seconds"] for each in outcome.passes]


def _tokens(job: Job) -> float:
    return sum(map(len, job.prompts)) / len(job.prompts)


def show(title: str, found: Sequence[Line], settings: Settings, job: Job) -> None:
    """Print the table on standard output."""
    table = Table(title=f"{title}: {heading(settings, job)}", title_justify="left")
    table.add_column("", no_wrap=True)
    names = ("batch", "rows/s", "min-max", "tokens/s", "memory", "sentilora is", "of limit")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("result")
    for line in found:
        table.add_row(*_cells(line))
    console = Console(width=None if Console().is_terminal else 150)
    console.print(table)
    console.print(MEMORY_NOTE)


def heading(settings: Settings, job: Job) -> str:
    """What was measured, in one line."""
    return (
        f"{settings.model} {settings.dtype} on {settings.device}, {settings.threads} threads, "
        f"{len(job.prompts):,} rows of {_tokens(job):.1f} tokens ({job.own_tokens:.1f} behind the "
        f"instruction), {settings.rounds} rounds"
    )


def _cells(line: Line) -> list[str]:
    spread = "" if line.slowest is None else f"{line.slowest:.3g}-{line.fastest:.3g}"
    return [
        line.name,
        "" if line.batch is None else str(line.batch),
        _figure(line.rows_per_second, "{:.3g}"),
        spread,
        _figure(line.tokens_per_second, "{:,.0f}"),
        _figure(line.memory and line.memory / 2**20, "{:,.0f} MiB"),
        _figure(line.of_product, "{:.2f}x"),
        _figure(line.of_limit, "{:.0%}"),
        "; ".join(part for part in (line.same, line.note) if part),
    ]


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def write_json(settings: Settings, content: dict[str, Any]) -> None:
    """Everything that was measured, where `--json` asks for it."""
    if settings.json is None:
        return
    options = {name: _plain(value) for name, value in asdict(settings).items()}
    text = json.dumps({"settings": options, **content}, indent=1)
    settings.json.write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value

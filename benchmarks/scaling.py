"""The product alone on ever more rows and ever longer texts: the cost has to grow linearly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from contenders import Contender, run_product
from rich.console import Console
from rich.table import Table
from rows import make_job
from settings import Settings

FEWER_ROWS = 256  # for the texts' lengths, where a row costs up to 25 times as much


def scaling_table(
    settings: Settings, product: Contender, *, training: bool
) -> list[dict[str, Any]]:
    """Measure and print; a row of the table is a dict."""
    found = []
    table = Table("rows", "words", "tokens a row", "seconds", "ms a row", "us a token", "MiB")
    for rows, words in _steps(settings):
        job = make_job(replace(settings, rows=rows, words=words), training=training)
        answer = run_product(product, job)
        tokens = job.own_tokens  # the instruction is run once, whatever the number of rows
        seconds = answer["seconds"]
        found.append(
            {
                "rows": rows,
                "words": words,
                "own_tokens": tokens,
                "seconds": seconds,
                "memory": answer["memory"],
            }
        )
        table.add_row(
            f"{rows:,}",
            "as they are" if words is None else str(words),
            f"{tokens:.1f}",
            f"{seconds:.2f}",
            f"{1e3 * seconds / rows:.2f}",
            f"{1e6 * seconds / rows / tokens:.1f}",
            f"{answer['memory'] / 2**20:,.0f}",
        )
    Console().print(table)
    return found


def _steps(settings: Settings) -> Iterator[tuple[int, int | None]]:
    for rows in settings.scaling_rows:
        yield rows, None
    for words in settings.scaling_words:
        yield min(settings.rows, FEWER_ROWS), words

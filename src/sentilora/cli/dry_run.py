"""`sentilora train --dry-run`: a prompt as rendered, its tokens, and what would be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentilora.cli.announcement import quantised_lines, settings_lines
from sentilora.cli.console import out, shown
from sentilora.data import DataSet
from sentilora.label_words import label_advice
from sentilora.projections import resolve
from sentilora.runs import RunConfig
from sentilora.tuning import Tuning

if TYPE_CHECKING:
    from rich.text import Text

_SPACES = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥"})


def show_dry_run(config: RunConfig, tuning: Tuning, dataset: DataSet) -> None:
    """Print all that can be known of a run before it is started."""
    from rich.text import Text

    console = out()
    encoder = tuning.scorer.encoder
    first = dataset.train[0]
    prompt = encoder.encode([first.text])[0]
    label = (prompt.continuations or encoder.label_ids)[first.label]
    text = encoder.shown(first.text)

    console.rule("[bold]One prompt as it is rendered[/bold], with its label")
    console.print(
        Text(encoder.task.render(text)).append(
            encoder.task.spoken(dataset.labels[first.label]), style="bold green"
        ),
        soft_wrap=True,
    )
    console.rule("[bold]Its tokens[/bold]: shared, its own, and [green]those with loss[/green]")
    shared = len(encoder.prefix_ids) if prompt.shared else 0
    console.print(
        Text(" ").join(
            [
                *_tokens(tuning, prompt.ids[:shared], "dim"),
                *_tokens(tuning, prompt.ids[shared:], ""),
                *_tokens(tuning, label, "bold green"),
            ]
        ),
        soft_wrap=True,
    )
    console.print(
        f"{shared} shared with every row, {len(prompt.ids) - shared} of this row, "
        f"{len(label)} with loss",
        style="dim",
    )
    console.rule("[bold]The rows[/bold]")
    _show_rows(tuning, dataset)
    if advice := label_advice(encoder):
        console.print(advice, highlight=False, markup=False)
    console.rule("[bold]What would be trained[/bold]")
    parameters = tuning.parameters
    console.print(
        f"{parameters.trained:,} of {parameters.total:,} parameters "
        f"({100 * parameters.share:.2f} %): rank {tuning.adapter.rank} on "
        f"{', '.join(tuning.adapter.targets)}",
        highlight=False,
    )
    modules = resolve(tuning.model.get_base_model(), tuning.adapter.targets).modules
    console.print(f"Modules: {', '.join(modules)}", highlight=False)
    for line in quantised_lines(tuning.base):
        console.print(f"Base: {line}", highlight=False, markup=False, soft_wrap=True)
    for line in settings_lines(config):
        console.print(f"Settings, {line}", highlight=False, markup=False, soft_wrap=True)
    console.print("Nothing was trained or written.", style="dim")


def _tokens(tuning: Tuning, ids: tuple[int, ...] | list[int], style: str) -> list[Text]:
    from rich.text import Text

    tokenizer = tuning.scorer.encoder.tokenizer
    pieces = []
    for index in ids:
        piece = tokenizer.decode([index]).translate(_SPACES)
        pieces.append(Text(piece, style=style).append(f"/{index}", style="dim italic"))
    return pieces


def _show_rows(tuning: Tuning, dataset: DataSet) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("split", *dataset.labels, "rows", "tokens, longest", "truncated"):
        table.add_column(shown(name), justify="left" if name == "split" else "right")
    for split in dataset.splits:
        rows = dataset.split(split)
        prompts = tuning.scorer.encoder.encode([row.text for row in rows])
        counts = dataset.label_counts(split)
        table.add_row(
            split,
            *(f"{counts[label]:,}" for label in dataset.labels),
            f"{len(rows):,}",
            f"{max((len(prompt.ids) for prompt in prompts), default=0):,}",
            f"{sum(prompt.characters_cut > 0 for prompt in prompts):,}",
        )
    out().print(table)

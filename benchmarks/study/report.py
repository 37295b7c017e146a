"""The study's tables and plot: `docs/quality-tables.md` and `docs/learning-curve.svg`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, mode

from sentilora.evaluation.paired import accuracy_difference
from study.cells import Cell, Result, Results
from study.draws import load
from study.plans import FREE, PLANS, SIZES
from study.plot import plot_curve

NAMES = {
    "tuned": "**sentilora**, SmolLM2-135M",
    "head": "SmolLM2-135M with a classification head",
    "setfit": "SetFit, all-MiniLM-L6-v2",
    "embeddings": "all-MiniLM-L6-v2 embeddings + logistic regression",
    "tfidf": "TF-IDF + logistic regression",
    "in-context": "SmolLM2, the 8 nearest rows in the prompt",
    "calibrated": "SmolLM2 untuned, contextual calibration",
    "zero-shot": "SmolLM2 untuned",
    "majority": "majority class",
}
CHOICES = ("labels", "balance", "settings", "kinds", "quantized", "rates", "long", "imdb")
FULL = 8_530  # Rotten Tomatoes' training rows


def write_report(results: Results, data: Path, docs: Path) -> None:
    """Write what there is of the study."""
    curve = results.of(PLANS["curve"])
    parts = [
        "# Quality: the tables\n\nPrinted by `benchmarks/quality.py --write`; "
        "benchmarks/README.md says what they mean.\n",
        "## Accuracy by the number of training rows, Rotten Tomatoes' test split\n",
        _curve_table(curve),
        "## Macro-F1, calibration error, seconds to train, size of what is kept\n",
        _details_table(curve),
        "## Label generation less the head, in points of accuracy\n",
        _heads_table(results, data),
        "## One thing at a time other than its default\n",
        _choices_table(results, data),
    ]
    (docs / "quality-tables.md").write_text("\n".join(parts), encoding="utf-8")
    plot_curve(_points(curve), docs / "learning-curve.svg")


def _curve_table(results: Sequence[Result]) -> str:
    lines = [
        f"| | {' | '.join(_size(size) for size in SIZES)} |",
        f"|---|{'---|' * len(SIZES)}",
    ]
    for method, name in NAMES.items():
        cells = [_range(_of(results, method, size), "accuracy") for size in SIZES]
        if any(cells):
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _details_table(results: Sequence[Result]) -> str:
    lines = [
        "| | rows | macro-F1 | calibration error | seconds | kept |",
        "|---|---|---|---|---|---|",
    ]
    usual = mode(result.hardware for result in results) if results else None
    for method, name in NAMES.items():
        for size in SIZES:
            found = _of(results, method, size)
            if found:
                f1, ece, saved = (
                    mean(result.figures[figure] for result in found)
                    for figure in ("macro_f1", "ece", "saved_bytes")
                )
                alike = [one for one in found if one.hardware == found[0].hardware]
                seconds = f"{mean(one.figures['train_seconds'] for one in alike):,.0f}"
                if found[0].hardware != usual:
                    seconds += f" ({found[0].hardware})"
                kept = f"{saved / 1e3:,.0f} kB" if saved else "-"
                lines.append(
                    f"| {name} | {_size(size)} | {f1:.3f} | {ece:.3f} | {seconds} | {kept} |"
                )
    return "\n".join(lines) + "\n"


def _heads_table(results: Results, data: Path) -> str:
    lines = [
        "| data | rows | seeds | generation | head | difference [95 %] |",
        "|---|---|---|---|---|---|",
    ]
    for plan in ("curve", "heads"):
        tuned = [cell for cell in PLANS[plan] if cell.method == "tuned"]
        for name, rows in dict.fromkeys((cell.data, cell.rows) for cell in tuned):
            pairs = [
                (own[0], other[0])
                for cell in tuned
                if (cell.data, cell.rows) == (name, rows)
                and (own := results.of([cell]))
                and (other := results.of([Cell("head", name, rows, cell.seed)]))
            ]
            if pairs:
                gold = load(name, data).test.gold
                ours, heads = zip(*pairs, strict=True)
                lines.append(
                    f"| {name} | {_size(rows)} | {len(pairs)} | {_range(ours, 'accuracy')} | "
                    f"{_range(heads, 'accuracy')} | {_gap(ours, heads, gold)} |"
                )
    return "\n".join(lines) + "\n"


def _choices_table(results: Results, data: Path) -> str:
    """Each choice beside the first one with its data, on the seeds that both have."""
    lines = [
        "| data, rows, split | seeds | choice | accuracy | macro-F1 | difference [95 %] |",
        "|---|---|---|---|---|---|",
    ]
    for (name, rows, split), choices in _choices().items():
        first = {one.cell.seed: one for one in results.of(next(iter(choices.values())))}
        for choice, cells in choices.items():
            found = [one for one in results.of(cells) if one.cell.seed in first]
            if found:
                gold = getattr(load(name, data), split).gold
                lines.append(
                    f"| {name}, {_size(rows)}, {split} | {len(found)} | {choice} | "
                    f"{_range(found, 'accuracy')} | {_range(found, 'macro_f1')} | "
                    f"{_gap(found, [first[one.cell.seed] for one in found], gold)} |"
                )
    return "\n".join(lines) + "\n"


def _choices() -> dict[tuple[str, int, str], dict[str, list[Cell]]]:
    """The cells by what they are measured on, and there by what they do otherwise."""
    groups: dict[tuple[str, int, str], dict[str, list[Cell]]] = {}
    cells = {cell.key: cell for plan in CHOICES for cell in PLANS[plan]}  # plans share some
    for cell in cells.values():
        group = groups.setdefault((cell.data, cell.rows, cell.split), {})
        group.setdefault(_choice(cell), []).append(cell)
    return groups


def _choice(cell: Cell) -> str:
    """What a cell does otherwise, in words."""
    options = dict(cell.options)
    words = options.pop("words", None)
    parts = [f"{name} {value}".replace("\n", "\\n") for name, value in options.items()]
    if words:
        parts.insert(0, "labels " + ", ".join(words.values()))
    if cell.method != "tuned":
        parts.insert(0, cell.method)
    return "; ".join(parts) or "as it is"


def _gap(ours: Sequence[Result], others: Sequence[Result], gold: Sequence[int]) -> str:
    """The first's accuracy less the others', in points, with its interval."""
    if [one.cell for one in ours] == [one.cell for one in others]:
        return ""
    gap = accuracy_difference(_right(ours, gold), _right(others, gold))
    return f"{100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"


def _right(results: Sequence[Result], gold: Sequence[int]) -> list[list[bool]]:
    """[S, N] whether each seed's run is right on each row."""
    return [
        [int(said) == true for said, true in zip(result.predicted, gold, strict=True)]
        for result in results
    ]


def _points(results: Sequence[Result]) -> dict[str, list[tuple[int | None, list[float]]]]:
    """For each method its sizes with the accuracies of the seeds; None where it learns nothing."""
    points = {}
    for method, name in NAMES.items():
        sizes = [(size or FULL, _of(results, method, size)) for size in SIZES]
        found = [
            (None if method in FREE else rows, [one.figures["accuracy"] for one in of])
            for rows, of in sizes
            if of
        ]
        if found:
            points[name.replace("*", "")] = found
    return points


def _of(results: Iterable[Result], method: str, rows: int) -> list[Result]:
    return [one for one in results if (one.cell.method, one.cell.rows) == (method, rows)]


def _range(results: Sequence[Result], figure: str) -> str:
    """The mean over the seeds, and the least and the most."""
    if not results:
        return ""
    values = [100 * result.figures[figure] for result in results]
    spread = f" ({min(values):.1f}-{max(values):.1f})" if min(values) < max(values) else ""
    return f"{mean(values):.1f}{spread}"


def _size(rows: int) -> str:
    return f"{rows:,}" if rows else "all"

"""An attribution on a terminal: the text with its words coloured, and the strongest as figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sentilora.attribution import Attribution, Deletion, DeletionCheck
from sentilora.attribution.deletion import SHARE
from sentilora.cli.console import shown
from sentilora.data.dataset import count_rows
from sentilora.evaluation.tables import plain_table, titled

STRONGEST = 8  # words with their figures
_STRONG, _WEAK = 0.5, 0.1  # of the strongest word's amount
_FOR, _AGAINST = "green", "red underline"  # the line tells without the colour
_UNREAD = "dim"


def explanation(attribution: Attribution, deletion: Deletion | None) -> RenderableType:
    """All of one text's attribution."""
    return Group(
        _heading(attribution),
        "",
        marked_text(attribution),
        "",
        _strongest(attribution),
        *(shown(note, "dim") for note in _notes(attribution, deletion)),
    )


def marked_text(attribution: Attribution) -> Text:
    """The text, its words coloured by direction and strength."""
    text, behind = Text(), 0
    for word, score in zip(attribution.words, attribution.scores, strict=True):
        text.append(shown(attribution.text[behind : word.start]))
        text.append(shown(word.text, _style(score, attribution.most)))
        behind = word.end
    return text.append(shown(attribution.text[behind:]))


def check_table(check: DeletionCheck, title: str) -> Table | Group:
    """What became of the label's probability, and what that says."""
    table = plain_table("taken out of each text", "mean fall of the label's probability")
    table.add_row(f"the {100 * SHARE:.0f} % of its words named most", _points(check.named))
    table.add_row("as many others, at random", _points(check.others))
    gap = check.difference
    table.add_row(
        "difference [95 %]", f"{_points(gap.value)} [{100 * gap.low:.1f}, {100 * gap.high:.1f}]"
    )
    return titled(title, table)


def check_lines(check: DeletionCheck, method: str, residuals: Sequence[float]) -> Iterator[str]:
    """What the check couldn't see."""
    if check.single_words and method == "occlusion":
        yield (
            f"From {check.single_words:,} of {count_rows(check.rows)} one word alone was taken "
            "out, as occlusion itself does: these can't speak against it."
        )
    if residuals:
        yield f"Residuals of the gradients: at most {max(residuals):.3f}, in nats."
    if check.skipped:
        yield f"Left out: {count_rows(check.skipped)} of fewer than two words."


def _heading(attribution: Attribution) -> Text:
    heading = shown(attribution.label, "bold").append(
        f" {100 * attribution.probability:.1f} %, log-odds {attribution.log_odds:+.2f}; "
        f"by {attribution.method}",
        "not bold",
    )
    if attribution.chosen != attribution.label:
        heading.append("; chosen is ", "not bold").append(shown(attribution.chosen))
    return heading


def _style(score: float | None, most: float) -> str:
    if score is None:
        return _UNREAD
    if not most or abs(score) < _WEAK * most:
        return ""
    style = _FOR if score > 0 else _AGAINST
    return f"bold reverse {style}" if abs(score) >= _STRONG * most else style


def _strongest(attribution: Attribution) -> Table:
    table = plain_table("word", "place", "log-odds")
    ranked = sorted(attribution.ranked(), key=lambda item: -abs(item[1]))
    for k, score in ranked[:STRONGEST]:
        style = "" if score == 0 else "green" if score > 0 else "red"
        table.add_row(shown(attribution.words[k].text), f"{k + 1:,}", Text(f"{score:+.2f}", style))
    return table


def _notes(attribution: Attribution, deletion: Deletion | None) -> Iterator[str]:
    label, words = attribution.label, attribution.words
    yield f"Above 0 (green) a word speaks for {label}, below 0 (red, underlined) against it."
    if unread := len(words) - len(attribution.read):
        yield (
            f"Not read, as the text is too long for this model: {unread:,} of {len(words):,} words."
        )
    if attribution.residual is not None:
        total = sum(score for score in attribution.scores if score is not None)
        yield (
            f"The words share out {total:+.2f}, what the text gains over average words, with a "
            f"residual of {attribution.residual:+.3f}."
        )
    if deletion is not None:
        count = len(deletion.named)
        named = ", ".join(f'"{words[k].text}"' for k in deletion.named)
        yield (
            f"Without the {_words(count)} that speak most for {label} ({named}) its probability is "
            f"{_percent(deletion.without_named)}, without {_words(count, 'other ')} at random "
            f"{_percent(deletion.without_others)}."
        )


def _words(count: int, kind: str = "") -> str:
    return f"{count} {kind}word{'s' * (count != 1)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"

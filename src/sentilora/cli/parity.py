"""How `merge` and `export` end: the result beside its adapter, shown whether it is kept or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentilora.cli.console import echo_json, err, out

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sentilora.export.agreement import Agreement
    from sentilora.export.asking import Answers, Rows


@dataclass(frozen=True)
class Parity:
    """What an adapter and what was made of it say of the same rows.

    name
        What the result is called, its form behind it in brackets.
    """

    rows: Rows
    adapter: Answers
    result: Answers
    found: Agreement
    name: str

    @classmethod
    def of(
        cls, rows: Rows, adapter: Answers, result: Answers, labels: Sequence[str], name: str
    ) -> Parity:
        """Raises UserError where the result gives no finite numbers."""
        from sentilora.export.agreement import agreement

        found = agreement(adapter.log_probs, result.log_probs, labels, rows.gold)
        return cls(rows, adapter, result, found, name)

    def require(self, threshold: float, remedy: str) -> None:
        """Raise UserError where too few rows keep their label; what they say is shown before, on
        standard error, for there is no result."""
        if self.found.kept < threshold:
            err().print(self._lines())
        self.found.require(threshold, self.name.partition(" (")[0], remedy)

    def show(self, asked: str, machine: str, *, as_json: bool) -> None:
        """On standard output; `asked` is how the adapter was run, and `machine` what on."""
        from sentilora.export.tables import speed_table

        own, now = self.adapter.speed, self.result.speed
        if as_json:
            speeds = {"adapter": own.to_dict(), "exported": now.to_dict()}
            gap = self.adapter.canary_gap(self.result)
            echo_json({**self.found.to_dict(), "canary": gap, "speed": speeds}, indent=1)
            return
        short = self.name.partition(" (")[2].rstrip(")")
        names = (f"adapter on its base, {asked}", short)
        out().print(self._lines())
        out().print()
        out().print(speed_table(own, now, names, machine))

    def _lines(self) -> RenderableType:
        from sentilora.export.tables import agreement_lines

        gap = self.adapter.canary_gap(self.result)
        return agreement_lines(self.found, self.name, self.rows.name, gap)

"""The columns that a prediction adds to a row: label, set of labels, probabilities, error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentilora.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class AddedColumns:
    """The added columns' names; `probabilities` is in the order of the task's labels.

    `label_set` is None where no sets were asked for.
    """

    predicted_label: str
    probabilities: tuple[str, ...]
    error: str
    label_set: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in the order in which they are written."""
        sets = () if self.label_set is None else (self.label_set,)
        return (self.predicted_label, *sets, *self.probabilities, self.error)

    def extend(self, schema: pa.Schema) -> pa.Schema:
        """The Arrow schema of the input followed by these."""
        import pyarrow as pa

        schema = schema.append(pa.field(self.predicted_label, pa.string()))
        if self.label_set is not None:
            schema = schema.append(pa.field(self.label_set, pa.list_(pa.string())))
        for name in self.probabilities:
            schema = schema.append(pa.field(name, pa.float64()))
        return schema.append(pa.field(self.error, pa.string()))


def added_columns(
    labels: Sequence[str], columns: Sequence[str], prefix: str = "", *, sets: bool = False
) -> AddedColumns:
    """`predicted_label`, `p_LABEL` for each of `labels` and `error`, each after `prefix`.

    With `sets` there is `label_set`, too.

    Raises `UserError` where the input's own `columns` hold one of them already; it names a
    `--prefix` under which none clashes.
    """
    added = _prefixed(labels, prefix, sets)
    clashes = set(added.names) & set(columns)
    if clashes:
        free = "sentilora_"
        while set(_prefixed(labels, free, sets).names) & set(columns):
            free += "_"
        names = ", ".join(f"'{name}'" for name in added.names if name in clashes)
        raise UserError(
            f"The input already has the column {names}, which the predictions would be written to. "
            f"Put --prefix {free} on the command line: theirs is then '{free}predicted_label' and "
            "so on."
        )
    return added


def _prefixed(labels: Sequence[str], prefix: str, sets: bool) -> AddedColumns:
    probabilities = tuple(f"{prefix}p_{label}" for label in labels)
    label_set = f"{prefix}label_set" if sets else None
    return AddedColumns(f"{prefix}predicted_label", probabilities, f"{prefix}error", label_set)

"""The Arrow type that holds all values of a column, where these are Python's own."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def kind_of(value: object) -> str:
    """What a value is: null, bool, int, long, float or text (all else)."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        if abs(value) <= 2**53:
            return "int"
        return "long" if -(2**63) <= value < 2**63 else "text"  # a float can't hold a long
    return "float" if isinstance(value, float) else "text"


def arrow_type(kinds: Collection[str]) -> pa.DataType:
    """The type of a column with values of these kinds: a string where they have none in common."""
    import pyarrow as pa

    types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
    return types.get(_common(set(kinds)), pa.string())


def _common(kinds: set[str]) -> str:
    kinds = kinds - {"null"}
    if kinds and kinds <= {"int", "long"}:
        return "int"
    if kinds == {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else "text"

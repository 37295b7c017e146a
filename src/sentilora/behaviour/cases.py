"""A test case: texts, and what must hold of a classifier's answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sentilora.errors import UserError
from sentilora.task import clean

MINIMUM, INVARIANCE, DIRECTION = "minimum", "invariance", "direction"
RISE, NOT_FALL = "rise", "not fall"
MUST = (RISE, NOT_FALL)
TOLERANCE = 0.1  # CheckList's own, for how far a probability may move the wrong way

# The keys of each kind, beside its own text and capability; a tolerance may be left out.
KINDS: Mapping[str, tuple[str, ...]] = {
    MINIMUM: ("label",),
    INVARIANCE: ("changed",),
    DIRECTION: ("changed", "label", "must", "tolerance"),
}
KEYS = ("capability", "kind", "text", "changed", "label", "must", "tolerance")


@dataclass(frozen=True)
class Case:
    """One case.

    capability
        What it tests, such as "negation"; cases are counted by it.
    kind
        MINIMUM: `text` must get `label`. INVARIANCE: each of `changed` must get the label that
        `text` gets. DIRECTION: from `text` to each of `changed`, the probability of `label` must
        RISE by more than `tolerance`, or NOT_FALL by more than it.
    """

    capability: str
    kind: str
    text: str
    changed: tuple[str, ...] = ()
    label: str | None = None
    must: str | None = None
    tolerance: float = TOLERANCE

    @property
    def texts(self) -> tuple[str, ...]:
        """[1 + M] the text, then what it was changed to."""
        return (self.text, *self.changed)

    def to_dict(self) -> dict[str, Any]:
        """The case as a line of a suite has it."""
        values = {**vars(self), "changed": list(self.changed)}
        return {key: values[key] for key in KEYS if key not in unused(self.kind)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Case:
        """The inverse of `to_dict`; raises UserError, without the place, for what is no case."""
        return _case(values)


def unused(kind: str) -> set[str]:
    """The keys that only other kinds have."""
    return {key for keys in KINDS.values() for key in keys} - set(KINDS[kind])


def _case(values: Mapping[str, Any]) -> Case:
    kind = _one_of(values, "kind", tuple(KINDS))
    for key in values:
        if key in unused(kind):
            raise UserError(
                f"A case of kind {kind} has no {key}. Take it out, or name another kind: "
                f"{_each_kind()}."
            )
    for key in ("capability", "text", *KINDS[kind]):
        if key not in values and key != "tolerance":
            raise UserError(f"There is no {key}, which a case of kind {kind} needs. Add it.")
    text = _text(values["text"], "text")
    return Case(
        capability=_text(values["capability"], "capability"),
        kind=kind,
        text=text,
        changed=_changed(values["changed"], text) if "changed" in values else (),
        label=_text(values["label"], "label") if "label" in values else None,
        must=_one_of(values, "must", MUST) if kind == DIRECTION else None,
        tolerance=_tolerance(values.get("tolerance", TOLERANCE)),
    )


def _each_kind() -> str:
    return "; ".join(f"{kind} has {', '.join(keys)}" for kind, keys in KINDS.items())


def _one_of(values: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = values.get(key)
    if isinstance(value, str) and value in known:
        return value
    close = get_close_matches(str(value).lower(), known, n=1)
    remedy = f"Do you mean {close[0]}?" if close else f"It must be one of: {', '.join(known)}."
    raise UserError(f"The {key} is {value!r}. {remedy}" if key in values else f"No {key}. {remedy}")


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"The {key} must be a string that isn't empty, not {value!r}.")
    if clean(value) != value:
        raise UserError(f"The {key} holds half of a surrogate pair: {value!a}. Write it anew.")
    return value


def _changed(value: Any, text: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts:
        raise UserError(f"What is changed must be a text or a list of texts, not {value!r}.")
    found = tuple(_text(each, "changed text") for each in texts)
    if text in found or len(set(found)) < len(found):
        raise UserError("A changed text must be another than the text and than each other one.")
    return found


def _tolerance(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise UserError(f"The tolerance must be a probability, from 0 to below 1, not {value!r}.")
    return float(value)

"""From the values of a label column to label ids.

Which labels there are, and in which order (the order of their ids, and of `classes_`):

1. those given (`--labels`), in the order given;
2. the class names of a Hub data set, in the order of the Hub's ids, `neg`/`pos` written out;
3. those that the rows hold: sentiment words from negative over neutral to positive, numbers by
   size, anything else by the alphabet. Spellings that differ in case or surrounding white space
   alone are one label, under the commonest spelling.

A value is looked up as it stands first, then without its case and surrounding white space. One that
is mapped to nothing (`3=`) is of rows that are set aside.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sentilora.errors import UserError
from sentilora.task import check_labels

SET_ASIDE = ""  # in place of a label: rows with that value aren't used
WRITTEN_OUT = {"neg": "negative", "neu": "neutral", "pos": "positive"}
SENTIMENT_ORDER = (
    "very negative",
    "negative",
    "somewhat negative",
    "neutral",
    "somewhat positive",
    "positive",
    "very positive",
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


@dataclass(frozen=True)
class LabelMapping:
    """The labels, and which of them (by id) each value of a label column means.

    `aside` holds the values, folded, whose rows are to be set aside.
    """

    labels: tuple[str, ...]
    exact: dict[str, int]
    folded: dict[str, int]
    notes: tuple[str, ...] = ()
    aside: frozenset[str] = frozenset()

    def sets_aside(self, value: str) -> bool:
        """Whether rows with a value aren't wanted."""
        return value not in self.exact and fold(value) in self.aside

    def find(self, value: str) -> int | None:
        """The id of the label that a value means; None where it means none."""
        found = self.exact.get(value)
        return self.folded.get(fold(value)) if found is None else found


def fold(value: str) -> str:
    """A value without what does not distinguish labels: case, white space around it."""
    return value.strip().casefold()


def label_word(value: object) -> str | None:
    """A cell of a label column as a word: 1.0 is "1"; None where the cell is empty or missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value)
    return word if word.strip() else None


def parse_labels_option(value: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Reads `--labels`: "negative,positive", or with a meaning each, "0=negative,1=positive".

    Returns
    -------
    labels, label_map
        The label words in order, and which label each value means (empty for the plain form).
        Several values may mean one label, and one may mean none, `SET_ASIDE`:
        "1=negative,2=negative,3=,4=positive,5=positive".

    Raises
    ------
    UserError
        Where the two forms are mixed, a part is empty, or labels are too few or repeated.
    """
    parts = [part.strip() for part in value.split(",")]
    mapped = ["=" in part for part in parts]
    if not all(parts) or (any(mapped) and not all(mapped)):
        raise UserError(
            f"--labels {value!r} cannot be read. Write either the labels in order, "
            "as in negative,positive, or a meaning for each value, as in 0=negative,1=positive."
        )
    if not any(mapped):
        return checked(parts), {}
    label_map: dict[str, str] = {}
    for part in parts:
        key, _, label = (piece.strip() for piece in part.partition("="))
        if not key or label_map.setdefault(key, label) != label:
            raise UserError(
                f"--labels {value!r} cannot be read at {part!r}: each value needs exactly one "
                "label, as in 0=negative,1=positive, or nothing to set its rows aside, as in 3=."
            )
    return checked(meant_labels(label_map)), label_map


def meant_labels(label_map: Mapping[str, str]) -> tuple[str, ...]:
    """The labels that values are mapped to, in their order."""
    return tuple(label for label in dict.fromkeys(label_map.values()) if label != SET_ASIDE)


def sayable(labels: Iterable[str]) -> bool:
    """Whether `--labels` can name them: a comma or an equals sign is a sign of its own there."""
    return not any(sign in label for label in labels for sign in ",=")


def checked(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels, once they are sure to be distinct words even without their case."""
    check_labels(labels)
    twice = [fold(word) for word, count in Counter(map(fold, labels)).items() if count > 1]
    if twice:
        raise UserError(f"Two labels differ in case alone ({twice[0]!r}); one name each, please.")
    return tuple(labels)


def given_mapping(
    labels: Sequence[str],
    label_map: Mapping[str, str] | None = None,
    class_names: Sequence[str] | None = None,
) -> LabelMapping:
    """The mapping onto labels that the user (or the trained task) gave.

    `label_map` may speak of a Hub data set's classes by name or by id. `neg`, `neu` and `pos` mean
    the label of the full name where there is one.

    Raises
    ------
    UserError
        Where the labels are too few, repeated, or not those that the map speaks of.
    """
    labels = checked(labels)
    ids = {label: number for number, label in enumerate(labels)}
    names = {str(number): name for number, name in enumerate(class_names or ())}
    mapped: dict[str, int] = {}
    aside: set[str] = set()
    for key, label in (label_map or {}).items():
        value = key if key in names.values() else names.get(key, key)
        if label == SET_ASIDE:
            aside.add(value)
        elif label not in ids:
            raise UserError(
                f"The label map speaks of {label!r}, which is not among the labels "
                f"({', '.join(labels)}). Add it to them or correct it."
            )
        else:
            mapped[value] = ids[label]
    short = {short: ids[word] for short, word in WRITTEN_OUT.items() if word in ids}
    folded = short | _folded(ids) | _folded(mapped)
    exact = {value: label for value, label in (ids | mapped).items() if value not in aside}
    return LabelMapping(labels, exact, folded, aside=frozenset(map(fold, aside)))


def class_mapping(class_names: Sequence[str]) -> LabelMapping:
    """The mapping of a Hub data set whose label column names its classes."""
    labels = tuple(_written_out(name) for name in class_names)
    ids = {name: number for number, name in enumerate(class_names)}
    return LabelMapping(labels, ids, _folded(ids), _numbers_note(labels))


def found_mapping(words: Iterable[str]) -> LabelMapping:
    """The mapping onto the labels that the rows themselves hold."""
    spellings: dict[str, Counter[str]] = {}
    for word in words:
        spellings.setdefault(fold(word), Counter())[word.strip()] += 1
    keys = _ordered(spellings)
    labels = tuple(
        min(spellings[key], key=lambda spelling: (-spellings[key][spelling], spelling))
        for key in keys
    )
    merged = [" / ".join(sorted(spellings[key])) for key in keys if len(spellings[key]) > 1]
    notes = (f"Spellings taken as one label: {'; '.join(merged)}.",) if merged else ()
    ids = {key: number for number, key in enumerate(keys)}
    return LabelMapping(labels, {}, ids, notes + _numbers_note(labels))


def _written_out(name: str) -> str:
    return WRITTEN_OUT.get(fold(name), name.strip())


def _folded(ids: Mapping[str, int]) -> dict[str, int]:
    return {fold(word): number for word, number in ids.items()}


def _ordered(keys: Iterable[str]) -> list[str]:
    keys = sorted(keys)
    ranks = {word: rank for rank, word in enumerate(SENTIMENT_ORDER)}
    if all(_written_out(key) in ranks for key in keys):
        return sorted(keys, key=lambda key: ranks[_written_out(key)])
    if all(map(_NUMBER.fullmatch, keys)):
        return sorted(keys, key=float)
    return keys


def _numbers_note(labels: Sequence[str]) -> tuple[str, ...]:
    if not labels or not all(map(_NUMBER.fullmatch, labels)):
        return ()
    words = ("negative", "positive") if set(labels) == {"0", "1"} else ("WORD",) * len(labels)
    named = ",".join(f"{label}={word}" for label, word in zip(labels, words, strict=True))
    return (
        f"The labels are the numbers {', '.join(labels)}, and are asked for as such. If they stand "
        f"for words, name these: --labels {named}.",
    )

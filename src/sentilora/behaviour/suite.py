"""Suites: files of cases, one JSON object a line; the one that comes with sentilora among them.

{"capability": "negation", "kind": "minimum", "text": "Not good.", "label": "negative"}
{"capability": "case", "kind": "invariance", "text": "Good.", "changed": ["GOOD.", "good."]}
{"capability": "intensifiers", "kind": "direction", "text": "Good.", "changed": "Very good.",
 "label": "positive", "must": "not fall", "tolerance": 0.1}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from sentilora.behaviour.cases import KEYS, Case
from sentilora.errors import UserError
from sentilora.names import check_names

_EXAMPLE = '{"capability": "...", "kind": "minimum", "text": "...", "label": "positive"}'


def bundled_cases() -> tuple[Case, ...]:
    """The cases that come with sentilora: invented texts, CC0."""
    resource = resources.files("sentilora.data").joinpath("bundled", "behaviour.jsonl")
    return _cases(resource.read_text(encoding="utf-8"), "the bundled suite")


def read_suite(path: Path) -> tuple[Case, ...]:
    """The cases in a file.

    Raises UserError where it can't be read, holds none, or a line is no case or stands twice; the
    message names the line and what to do.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(
            f"{path} can't be read: {error.strerror or error}. Name a file of cases."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line} is no UTF-8. Save the file as UTF-8.") from error
    return _cases(content, str(path))


def together(*suites: Iterable[Case]) -> tuple[Case, ...]:
    """The cases of all suites, each once."""
    return tuple(dict.fromkeys(case for suite in suites for case in suite))


def _cases(content: str, name: str) -> tuple[Case, ...]:
    lines: dict[Case, int] = {}
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        case = _read(line, where)
        if case in lines:
            raise UserError(f"{where} says the same as line {lines[case]}. Take one of them out.")
        lines[case] = number
    if not lines:
        raise UserError(f"{name} holds no cases. Write one a line, as {_EXAMPLE}.")
    return tuple(lines)


def _read(line: str, where: str) -> Case:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{where} is no JSON: {error}. Write one object a line, as {_EXAMPLE}."
        ) from error
    if not isinstance(values, dict):
        raise UserError(f"{where} is no JSON object. Write it as {_EXAMPLE}.")
    check_names(values, KEYS, "key", where)
    try:
        return Case.from_dict(values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None

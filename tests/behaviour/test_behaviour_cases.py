"""Cases and suites: what is read is what was written, and what can't be says where and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sentilora.behaviour import Case, bundled_cases, read_suite, together
from sentilora.errors import UserError

MINIMUM = {"capability": "negation", "kind": "minimum", "text": "Not bad.", "label": "good"}
INVARIANCE = {"capability": "case", "kind": "invariance", "text": "A", "changed": ["B", "C"]}
DIRECTION = {
    **{"capability": "more", "kind": "direction", "text": "A", "changed": ["B"]},
    **{"label": "good", "must": "rise", "tolerance": 0.05},
}


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "suite.jsonl"
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("values", [MINIMUM, INVARIANCE, DIRECTION], ids=lambda case: case["kind"])
def test_a_case_comes_back_as_it_was_written(values: dict[str, Any], tmp_path: Path) -> None:
    (case,) = read_suite(write(tmp_path, values))
    assert case.to_dict() == values
    assert Case.from_dict(case.to_dict()) == case


def test_one_changed_text_needs_no_list_and_a_tolerance_may_be_left_out(tmp_path: Path) -> None:
    short = {key: value for key, value in DIRECTION.items() if key != "tolerance"}
    (case,) = read_suite(write(tmp_path, {**short, "changed": "B"}))
    assert (case.changed, case.tolerance) == (("B",), 0.1)


def test_lines_are_kept_in_order_and_blank_ones_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, "", INVARIANCE, "  ", MINIMUM)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert [case.kind for case in read_suite(path)] == ["invariance", "minimum"]


def test_suites_together_hold_each_case_once() -> None:
    own = Case("mine", "minimum", "Fine.", label="good")
    bundled = bundled_cases()
    assert together(bundled, (bundled[3], own)) == (*bundled, own)


def without(values: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "no JSON object"),
        ({**MINIMUM, "lable": "good"}, "unknown key 'lable'; do you mean label?"),
        ({**MINIMUM, "Text": "good"}, "unknown key 'Text'; do you mean text?"),
        ({**MINIMUM, "x": 1}, "it is one of capability, changed, kind"),
        (without(MINIMUM, "kind"), "No kind. It must be one of: minimum, invariance, direction."),
        ({**MINIMUM, "kind": "minimun"}, "Do you mean minimum?"),
        ({**MINIMUM, "kind": ["minimum"]}, "kind is ['minimum']"),
        (without(MINIMUM, "text"), "no text, which a case of kind minimum needs"),
        (without(MINIMUM, "label"), "no label"),
        (without(MINIMUM, "capability"), "no capability"),
        (without(INVARIANCE, "changed"), "no changed"),
        (without(DIRECTION, "must"), "no must"),
        ({**INVARIANCE, "label": "good"}, "kind invariance has no label. Take it out"),
        ({**MINIMUM, "changed": "B"}, "kind minimum has no changed"),
        ({**MINIMUM, "text": "  "}, "text must be a string that isn't empty"),
        ({**MINIMUM, "label": 1}, "label must be a string"),
        ({**MINIMUM, "text": "half \ud83d"}, "half of a surrogate pair"),
        ({**INVARIANCE, "changed": []}, "a text or a list of texts"),
        ({**INVARIANCE, "changed": ["B", 3]}, "changed text must be a string"),
        ({**INVARIANCE, "changed": ["A"]}, "another than the text"),
        ({**INVARIANCE, "changed": ["B", "B"]}, "each other one"),
        ({**DIRECTION, "must": "raise"}, "Do you mean rise?"),
        ({**DIRECTION, "tolerance": 1}, "from 0 to below 1"),
        ({**DIRECTION, "tolerance": "0.1"}, "from 0 to below 1"),
        ({**DIRECTION, "tolerance": float("nan")}, "from 0 to below 1"),
        (INVARIANCE, "says the same as line 1"),
    ],
    ids=str,
)
def test_a_line_that_is_no_case_is_named(line: Any, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, INVARIANCE, "", line)
    with pytest.raises(UserError) as raised:
        read_suite(path)
    message = str(raised.value)
    assert message.startswith(f"{path}, line 3")
    assert said in message
    assert message[-1] in ".?"


def test_files_that_are_no_suites(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no cases"):
        read_suite(write(tmp_path, ""))
    with pytest.raises(UserError, match="can't be read"):
        read_suite(tmp_path)
    with pytest.raises(UserError, match="can't be read"):
        read_suite(tmp_path / "gone.jsonl")
    path = write(tmp_path, MINIMUM)
    path.write_bytes(path.read_bytes() + "é".encode("latin-1"))
    with pytest.raises(UserError, match="line 2 is no UTF-8"):
        read_suite(path)

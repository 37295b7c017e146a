"""Other wordings of a task's instruction, and what came of asking in them.

How a small model is asked can move its accuracy by many points (Sclar et al. 2024). A tuned model
was tuned on one wording, which its folder keeps; these tell how much hangs on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sentilora.errors import UserError
from sentilora.task import FIELD, Task, asked_for, choices

FROZEN = "its own"

# What these are filled with comes from the task: its labels, and what its texts are called.
_BUNDLED = (
    "What is the {asked} of this {subject}: {choices}?\n\n{Name}: {text}\n{Asked}:",
    "{text}\n\nThe {asked} of the {subject} above, {choices}:",
    "{Name}: {text}\n{Asked}:",
    "Task: tell the {asked} of a {subject}.\nOptions: {options}\nInput: {text}\nOutput:",
    "Read the {subject} and answer with {choices}.\n\n{text}\n\nAnswer:",
)


@dataclass(frozen=True)
class Wording:
    """An instruction.

    name
        What a table calls it.
    task
        The task in this wording.
    given
        Whether it is the user's.
    reversed
        Whether the labels that it names stand in the reverse order.
    """

    name: str
    task: Task
    given: bool = False
    reversed: bool = False


@dataclass(frozen=True)
class Answered:
    """What a model made of the rows in a wording.

    agreement
        On how many rows it chose the label that it chose in its own wording.
    """

    wording: Wording
    correct: int
    agreement: int


@dataclass(frozen=True)
class Wordings:
    """All wordings on the same rows, the model's own first.

    rows, of
        How many rows were asked about, of how many there are; drawn with a fixed seed.
    notes
        What is to be known about the rows.
    """

    data: str
    split: str
    rows: int
    of: int
    answered: tuple[Answered, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it; shares with their 95 % Wilson intervals."""
        from sentilora.evaluation.metrics import wilson_interval

        return {
            "data": self.data,
            "split": self.split,
            "rows": self.rows,
            "of": self.of,
            "notes": list(self.notes),
            "wordings": [
                {
                    "name": each.wording.name,
                    "template": each.wording.task.template,
                    "given": each.wording.given,
                    "labels_reversed": each.wording.reversed,
                    "accuracy": each.correct / self.rows,
                    "accuracy_interval": list(wilson_interval(each.correct, self.rows)),
                    "agreement": each.agreement / self.rows,
                    "agreement_interval": list(wilson_interval(each.agreement, self.rows)),
                }
                for each in self.answered
            ],
        }


def wordings_for(task: Task, subject: str, given: Sequence[str] = ()) -> list[Wording]:
    """The task's own wording, the bundled ones and those given; each followed by itself with the
    labels reversed, where it names them.

    Raises UserError for a given one that can't be used.
    """
    found = _with_reversed(Wording(FROZEN, task))
    for number, template in enumerate(_filled(task.labels, subject), start=1):
        found += _with_reversed(Wording(str(number), _plain(task, template)))
    for number, template in enumerate(given, start=1):
        try:
            worded = _plain(task, template)
        except UserError as error:
            raise UserError(
                f"--wording {json.dumps(template, ensure_ascii=False)}: {error}"
            ) from error
        found += _with_reversed(
            Wording(f"yours {number}" if len(given) > 1 else "yours", worded, True)
        )
    return found


def labels_reversed(template: str, labels: Sequence[str]) -> str | None:
    """The template with the labels that it names in the reverse order; None unless it names each
    label of the set once."""
    longest_first = sorted(labels, key=len, reverse=True)
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"
    named = list(re.finditer(pattern, template))
    if sorted(each.group() for each in named) != sorted(labels):
        return None
    made, end = "", 0
    for each, other in zip(named, reversed(named), strict=True):
        made += template[end : each.start()] + other.group()
        end = each.end()
    return made + template[end:]


def through_the_same_template(wordings: Sequence[Wording], tokenizer: Any) -> list[Wording]:
    """The wordings as the first of them, the model's own, is put to the tokenizer's model: through
    its chat template where that one went through it."""
    own = wordings[0].task
    if not _in_chat(own, tokenizer):
        return list(wordings)
    return [
        each
        if each.name.startswith(FROZEN)
        else replace(
            each, task=replace(each.task, label_prefix=" ").through_chat_template(tokenizer)
        )
        for each in wordings
    ]


def _in_chat(task: Task, tokenizer: Any) -> bool:
    if not getattr(tokenizer, "chat_template", None):
        return False
    bare = replace(task, template=FIELD, label_prefix=" ").through_chat_template(tokenizer)
    before, after = bare.instruction, bare.prompt_end
    return (
        bool(before + after)
        and task.instruction.startswith(before)
        and task.prompt_end.endswith(after)
    )


def _plain(task: Task, template: str) -> Task:
    return replace(task, template=template)


def _filled(labels: tuple[str, ...], subject: str) -> list[str]:
    asked = asked_for(labels)
    words = {
        "{asked}": asked,
        "{Asked}": asked.capitalize(),
        "{subject}": subject,
        "{Name}": subject.split()[-1].capitalize(),
        "{choices}": choices(labels),
        "{options}": ", ".join(labels),
    }
    pattern = re.compile("|".join(map(re.escape, words)))
    return [pattern.sub(lambda each: words[each.group()], template) for template in _BUNDLED]


def _with_reversed(wording: Wording) -> list[Wording]:
    turned = labels_reversed(wording.task.template, wording.task.labels)
    if turned is None:
        return [wording]
    task = _plain(wording.task, turned)
    return [
        wording,
        replace(wording, name=f"{wording.name}, labels reversed", task=task, reversed=True),
    ]

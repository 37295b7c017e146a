"""Other wordings of a task's instruction: bundled ones, the user's, and labels in reverse order.

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

OWN, BUNDLED, GIVEN = "own", "bundled", "given"

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
    origin
        OWN, which the adapter was tuned on, BUNDLED, or GIVEN by the user.
    reversed
        Whether the labels that it names stand in the reverse order.
    """

    name: str
    task: Task
    origin: str
    reversed: bool = False


def wordings_for(task: Task, subject: str, given: Sequence[str] = ()) -> list[Wording]:
    """The task's own wording, the bundled ones and those given; each followed by itself with the
    labels reversed, where it names them.

    Raises UserError for a given one that can't be used.
    """
    found = _with_reversed(Wording("its own", task, OWN))
    for number, template in enumerate(_filled(task.labels, subject), start=1):
        found += _with_reversed(Wording(str(number), replace(task, template=template), BUNDLED))
    for number, template in enumerate(given, start=1):
        try:
            worded = replace(task, template=template)
        except UserError as error:
            raise UserError(
                f"--wording {json.dumps(template, ensure_ascii=False)}: {error}"
            ) from error
        found += _with_reversed(
            Wording(f"yours {number}" if len(given) > 1 else "yours", worded, GIVEN)
        )
    return found


def labels_reversed(template: str, labels: Sequence[str]) -> str | None:
    """The template with the labels that it names in the reverse order; None unless it names each
    label of the set once."""
    longest_first = sorted(labels, key=len, reverse=True)
    # Not the field, which may be called as a label is.
    pattern = rf"(?<![\w{{])(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"
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
        if each.origin == OWN
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
    task = replace(wording.task, template=turned)
    return [
        wording,
        replace(wording, name=f"{wording.name}, labels reversed", task=task, reversed=True),
    ]

"""The task: what is asked of the model, and which labels may answer.

A `Task` is the only description of a prompt there is. It is frozen into every artefact, so that
training, evaluation, prediction and export ask the model the very same question. It knows nothing
of tokens (`encoding` does) and nothing of tensors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from sentilora.cutting import LongTexts
from sentilora.errors import UserError

FIELD = "{text}"
SENTIMENT_WORDS = ("negative", "neutral", "positive")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Task:
    """An instruction with a text field, and the labels that may follow it.

    Parameters
    ----------
    template
        The instruction; holds ``{text}`` exactly once. Other braces are plain characters.
    labels
        Two or more distinct words or phrases, in the order of their class ids.
    max_length
        The most tokens that a prompt and its label may have together. Only the text is ever
        shortened to fit.
    label_prefix
        What stands between the prompt and the label, and belongs to the label's tokens: a space
        for plain instructions, nothing after a chat template's assistant header.
    long_texts
        What is kept of a text that is shortened: its "beginning", or both its "ends".

    Raises
    ------
    UserError
        Where the template lacks its field, or the labels are too few, empty or repeated.
    """

    template: str
    labels: tuple[str, ...]
    max_length: int = 512
    label_prefix: str = " "
    long_texts: LongTexts = "ends"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        fields = self.template.count(FIELD)
        if fields != 1:
            raise UserError(
                f"The template holds {fields or 'no'} {FIELD} field{'s' * (fields != 1)}; it needs "
                f"exactly one, where the text goes, as in 'Review: {FIELD}\\nSentiment:'."
            )
        if self.prompt_end[-1:].isspace() and self.label_prefix == " ":
            raise UserError(
                "The template ends in white space, and the label brings its own space: the label's "
                "tokens would not be the ones that a model generates. End it as in 'Sentiment:'."
            )
        check_labels(self.labels)
        if _LONE_SURROGATE.search("".join([self.template, self.label_prefix, *self.labels])):
            raise UserError("The template or a label holds bytes that aren't UTF-8; write it anew.")
        if self.long_texts not in get_args(LongTexts):
            raise UserError(
                f"Of long texts (--long-texts) {self.long_texts!r} can't be kept; it must be "
                f"{' or '.join(get_args(LongTexts))}."
            )
        if self.max_length < 8:
            raise UserError(
                f"A maximum length of {self.max_length} tokens is too short to be used."
            )

    @classmethod
    def default(
        cls,
        labels: Sequence[str] = ("negative", "positive"),
        subject: str = "text",
        max_length: int = 512,
    ) -> Task:
        """The default instruction for a label set; `subject` is what a text is called in it.

        Sets of sentiment words are asked for the sentiment, any other set for the label.
        """
        check_labels(labels)
        check_subject(subject)
        asked = asked_for(labels)
        name = subject.split()[-1].capitalize()
        template = (
            f"Classify the {asked} of the {subject} as {choices(labels)}.\n\n"
            f"{name}: {FIELD}\n{asked.capitalize()}:"
        )
        return cls(template=template, labels=tuple(labels), max_length=max_length)

    @property
    def instruction(self) -> str:
        """What stands before the text."""
        return self.template.partition(FIELD)[0]

    @property
    def prompt_end(self) -> str:
        """What stands between the text and the label."""
        return self.template.partition(FIELD)[2]

    def render(self, text: str) -> str:
        """The prompt for one text, as any other engine would be given it."""
        return self.instruction + clean(text) + self.prompt_end

    def spoken(self, label: str) -> str:
        """A label as it follows the prompt."""
        return self.label_prefix + label

    def through_chat_template(self, tokenizer: Any) -> Task:
        """The same question as a user's turn, rendered through the tokenizer's chat template.

        What is kept is the rendered text around the field, so the artefact depends on no template
        engine. The label follows as the template lets an assistant's answer follow: at once after
        ``<|im_start|>assistant`` and a line break, after a space behind Llama 2's ``[/INST]``.
        """
        if not getattr(tokenizer, "chat_template", None):
            raise UserError(
                "This base has no chat template. Leave out --chat-template, or choose an instruct "
                "model, such as smollm2."
            )
        asked = [{"role": "user", "content": self.template}]
        answered = [*asked, {"role": "assistant", "content": self.labels[0]}]
        rendered = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(answered, tokenize=False)
        gap = whole.removeprefix(rendered).partition(self.labels[0])[0]
        prefix = gap if whole.startswith(rendered) and gap.isspace() else ""
        bos = tokenizer.bos_token
        if bos and rendered.startswith(bos) and _adds_bos(tokenizer):
            rendered = rendered[len(bos) :]  # the tokenizer will put it there itself, once
        return replace(self, template=rendered, label_prefix=prefix)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "labels": list(self.labels)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Task:
        # A task that was saved before there was a choice was shown beginnings.
        return cls(**{"long_texts": "beginning", **values, "labels": tuple(values["labels"])})


def asked_for(labels: Sequence[str]) -> str:
    """What an instruction asks for: the sentiment, or of any other set of labels the label."""
    words = [label.lower().split()[-1] for label in labels]
    return "sentiment" if all(word in SENTIMENT_WORDS for word in words) else "label"


def choices(labels: Sequence[str]) -> str:
    """The labels as an instruction names them: "negative, neutral or positive"."""
    return ", ".join(labels[:-1]) + " or " + labels[-1]


def check_labels(labels: Sequence[str]) -> None:
    """Raise `UserError` unless there are two or more distinct, non-empty labels."""
    if len(labels) < 2:
        found = f"only one label ({labels[0]!r})" if labels else "no label"
        raise UserError(f"There is {found}; a classifier needs two or more, given with --labels.")
    for label in labels:
        if not isinstance(label, str) or not label.strip() or label != label.strip():
            raise UserError(
                f"The label {label!r} is empty or has white space around it; labels are words or "
                "phrases. Name them with --labels."
            )
    repeated = sorted({label for label in labels if list(labels).count(label) > 1})
    if repeated:
        raise UserError(f"The label {repeated[0]!r} stands twice in the label set; name each once.")


def check_subject(subject: str) -> None:
    """Raise `UserError` for a subject without a word."""
    if not subject.strip():
        raise UserError(
            "The subject (--subject), which is what the instruction calls a text, is empty. Name "
            "it, as in 'film review', or leave it out."
        )


def clean(text: str) -> str:
    """`text` with lone surrogates, which no UTF-8 text can hold, replaced by U+FFFD."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def _adds_bos(tokenizer: Any) -> bool:
    ids = tokenizer("a").input_ids
    return bool(ids) and ids[0] == tokenizer.bos_token_id

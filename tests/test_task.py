"""The task: what a template and a label set must be, and what is rendered from them."""

from __future__ import annotations

import json

import pytest

from sentilora.errors import UserError
from sentilora.task import Task, check_labels, clean
from tiny_tokenizers import byte_level, gemma, llama_2, opens_with_bos, unigram

TEMPLATE = "Review: {text}\nSentiment:"


def test_rendering_puts_the_text_in_and_changes_nothing_else() -> None:
    task = Task("{a} {{b}} {text} {} {0!r:>3}:", ("yes", "no"))
    for text in ("", "plain", "{text}", "{a} {{b}}", "%s \\1 \n", "x" * 1000):
        assert task.render(text) == "{a} {{b}} " + text + " {} {0!r:>3}:"


def test_lone_surrogates_become_replacement_characters() -> None:
    assert clean("a\ud83d b\udc80") == "a\ufffd b\ufffd"
    assert clean("🙂 \ufffd") == "🙂 \ufffd"
    Task(TEMPLATE, ("yes", "no")).render("\udfff").encode()  # would raise


@pytest.mark.parametrize("template", ["Sentiment:", "", "{ text }", "{text} {text}:"])
def test_a_template_holds_its_field_once(template: str) -> None:
    with pytest.raises(UserError, match=r"\{text\}"):
        Task(template, ("yes", "no"))


def test_a_template_may_not_end_in_white_space_before_a_label_with_a_space() -> None:
    for end in (" ", "\n", "\t", "\u00a0"):
        with pytest.raises(UserError, match="white space"):
            Task(TEMPLATE + end, ("yes", "no"))
        Task(TEMPLATE + end, ("yes", "no"), label_prefix="")
    Task("Review: {text}", ("yes", "no"))


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ((), "no label"),
        (("good",), "'good'"),
        (("good", ""), "''"),
        (("good", " bad"), "' bad'"),
        (("good", "bad\n"), "bad"),
        (("good", "bad", "good"), "'good'"),
        (("good", 1), "1"),
    ],
)
def test_label_sets_that_no_classifier_can_use(labels: tuple[str, ...], named: str) -> None:
    for made in (
        lambda: check_labels(labels),
        lambda: Task(TEMPLATE, labels),
        lambda: Task.default(labels),
    ):
        with pytest.raises(UserError, match=named):
            made()


def test_bytes_that_are_not_text_are_refused_in_template_and_labels() -> None:
    with pytest.raises(UserError, match="UTF-8"):
        Task(TEMPLATE + "\udc80", ("yes", "no"))
    with pytest.raises(UserError, match="UTF-8"):
        Task(TEMPLATE, ("yes", "n\udc80"))


def test_too_short_a_length() -> None:
    with pytest.raises(UserError, match="7"):
        Task(TEMPLATE, ("yes", "no"), max_length=7)


def test_default_instruction_names_labels_and_subject() -> None:
    task = Task.default()
    assert task.labels == ("negative", "positive")
    assert task.template == (
        "Classify the sentiment of the text as negative or positive.\n\nText: {text}\nSentiment:"
    )
    film = Task.default(("negative", "neutral", "positive"), subject="movie review")
    assert film.template == (
        "Classify the sentiment of the movie review as negative, neutral or positive.\n\n"
        "Review: {text}\nSentiment:"
    )
    assert "sentiment" in Task.default(("very negative", "Very positive")).template
    topics = Task.default(("sport", "world news"))
    assert topics.template.startswith("Classify the label of the text as sport or world news.")
    assert topics.template.endswith("\nLabel:")


def test_task_survives_json() -> None:
    task = Task("“{text}” → \n", ("größer", "a b"), max_length=99, label_prefix="")
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert hash(task) == hash(Task.from_dict(task.to_dict()))


def test_a_task_from_before_there_was_a_choice_is_shown_beginnings() -> None:
    values = Task.default().to_dict()
    assert values.pop("long_texts") == "ends"
    assert Task.from_dict(values).long_texts == "beginning"


def test_chat_template_is_rendered_once_around_the_field() -> None:
    task = Task.default().through_chat_template(byte_level())
    assert task.instruction == f"<|im_start|>user\n{Task.default().instruction}"
    assert task.prompt_end == "\nSentiment:<|im_end|>\n<|im_start|>assistant\n"
    assert task.spoken("positive") == "positive"
    assert task.labels == Task.default().labels


def test_chat_template_leaves_bos_to_the_tokenizer() -> None:
    for tokenizer in (opens_with_bos(), llama_2(), gemma()):
        task = Task.default().through_chat_template(tokenizer)
        assert not task.template.startswith(tokenizer.bos_token)
        ids = tokenizer(task.render("a film")).input_ids
        assert ids.count(tokenizer.bos_token_id) == 1


def test_chat_template_gives_the_label_the_space_that_the_model_writes() -> None:
    for tokenizer, prefix in ((llama_2(), " "), (byte_level(), ""), (gemma(), "")):
        task = Task.default().through_chat_template(tokenizer)
        assert task.label_prefix == prefix
        said = tokenizer.apply_chat_template(
            [
                {"role": "user", "content": Task.default().template},
                {"role": "assistant", "content": "positive"},
            ],
            tokenize=False,
        )
        assert task.template + task.spoken("positive") in said


def test_base_without_chat_template() -> None:
    with pytest.raises(UserError, match="--chat-template"):
        Task.default().through_chat_template(unigram())

"""Which labels a column of values stands for, and in which order."""

from __future__ import annotations

import pytest

from sentilora.data.labels import (
    class_mapping,
    found_mapping,
    given_mapping,
    label_word,
    parse_labels_option,
)
from sentilora.errors import UserError


def test_labels_option_plain_and_mapped() -> None:
    assert parse_labels_option("negative, positive") == (("negative", "positive"), {})
    assert parse_labels_option("0=negative,1=positive") == (
        ("negative", "positive"),
        {"0": "negative", "1": "positive"},
    )
    labels, label_map = parse_labels_option("1=bad,2=bad, 4 = good,5=good")
    assert labels == ("bad", "good")
    assert label_map == {"1": "bad", "2": "bad", "4": "good", "5": "good"}
    assert parse_labels_option("1=bad, 3= ,5=good") == (
        ("bad", "good"),
        {"1": "bad", "3": "", "5": "good"},
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "negative",
        "a,a",
        "Good,good",
        "0=a,b",
        "0=,1=b",
        "0=,0=a,1=b",
        "=a,1=b",
        "0=a,0=b",
        "0=a,1=a",
        "a,,b",
    ],
)
def test_labels_option_refuses(value: str) -> None:
    with pytest.raises(UserError):
        parse_labels_option(value)


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ("positive", "positive"),
        (1, "1"),
        (1.0, "1"),
        (0.5, "0.5"),
        (True, "True"),
        (None, None),
        (float("nan"), None),
        ("", None),
        ("  ", None),
        ("NA", "NA"),
        ("None", "None"),
    ],
)
def test_label_word(cell: object, word: str | None) -> None:
    assert label_word(cell) == word


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (["positive", "negative"], ("negative", "positive")),
        (["Positive", "Neutral", "Negative"], ("Negative", "Neutral", "Positive")),
        (["pos", "neg"], ("neg", "pos")),
        (
            ["very positive", "positive", "neutral", "very negative", "negative"],
            ("very negative", "negative", "neutral", "positive", "very positive"),
        ),
        (["neutral", "negative"], ("negative", "neutral")),
        (["10", "9", "1"], ("1", "9", "10")),
        (["sports", "business", "positive"], ("business", "positive", "sports")),
    ],
)
def test_order_of_labels_found(words: list[str], labels: tuple[str, ...]) -> None:
    mapping = found_mapping(words)
    assert mapping.labels == labels
    assert [mapping.find(word) for word in labels] == list(range(len(labels)))


def test_spellings_of_one_label_are_one_and_said() -> None:
    mapping = found_mapping(["Good", "good", "good ", "BAD", "BAD"])
    assert mapping.labels == ("BAD", "good")
    assert mapping.find("GOOD") == mapping.find(" good") == 1
    assert any("Good / good" in note for note in mapping.notes)


def test_numbers_stay_words_with_a_hint() -> None:
    mapping = found_mapping(["1", "0"])
    assert mapping.labels == ("0", "1")
    assert "--labels 0=negative,1=positive" in mapping.notes[0]
    assert not found_mapping(["a", "b"]).notes


def test_given_labels_match_exactly_first() -> None:
    mapping = given_mapping(("1", "2"), {"2": "1"})  # a perverse map: the value 2 means label 1
    assert mapping.find("2") == 0
    assert mapping.find("1") == 0
    mapping = given_mapping(("country", "pronoun"), {"US": "country", "us": "pronoun"})
    assert (mapping.find("US"), mapping.find("us")) == (0, 1)


def test_given_labels_match_folded_and_written_out() -> None:
    mapping = given_mapping(("positive", "negative"))
    assert mapping.find(" Positive ") == 0
    assert mapping.find("NEG") == 1
    assert mapping.find("neutral") is None
    assert mapping.find("0") is None


def test_given_map_may_use_class_ids_or_names() -> None:
    for label_map in ({"0": "bad", "1": "good"}, {"neg": "bad", "pos": "good"}):
        mapping = given_mapping(("bad", "good"), label_map, class_names=("neg", "pos"))
        assert (mapping.find("neg"), mapping.find("pos")) == (0, 1)
    # names that are digits themselves are names, whatever their ids
    mapping = given_mapping(("bad", "good"), {"1": "bad", "2": "good"}, class_names=("1", "2"))
    assert (mapping.find("1"), mapping.find("2")) == (0, 1)


def test_given_map_to_an_unknown_label_is_refused() -> None:
    with pytest.raises(UserError, match="'mixed'"):
        given_mapping(("bad", "good"), {"3": "mixed"})


def test_values_to_be_set_aside_mean_no_label() -> None:
    mapping = given_mapping(("bad", "good"), {"1": "bad", "Mixed": "", "5": "good"})
    assert mapping.find("1") == 0
    assert [mapping.sets_aside(value) for value in ("Mixed", " mixed", "1", "3", "good")] == [
        *(True, True),
        *(False, False, False),
    ]
    # one of a value's spellings, a label's own word, a class by its id
    mapping = given_mapping(("bad", "good"), {"US": "", "us": "good"})
    assert (mapping.sets_aside("US"), mapping.sets_aside("us")) == (True, False)
    assert given_mapping(("bad", "good"), {"good": ""}).sets_aside("good")
    assert given_mapping(("bad", "good"), {"1": ""}, ("bad", "so-so", "good")).sets_aside("so-so")


def test_class_names_keep_their_ids() -> None:
    mapping = class_mapping(("neg", "pos"))
    assert mapping.labels == ("negative", "positive")
    assert mapping.find("neg") == 0
    assert class_mapping(("World", "Business")).labels == ("World", "Business")

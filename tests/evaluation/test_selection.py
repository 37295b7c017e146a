"""No row that was trained on is measured, and none that is measured trains a baseline."""

from __future__ import annotations

import pytest

from sentilora.data.dataset import DataReport, DataSet, Example, row_hash
from sentilora.errors import UserError
from sentilora.evaluation.selection import ALL, HELD_OUT, baseline_rows, select_rows


def data(**splits: str) -> DataSet:
    """A data set whose texts are the words of a string a split; their labels alternate."""
    made = {
        split: tuple(
            Example(text, number % 2, number, split)
            for number, text in enumerate(texts.split(), start=1)
        )
        for split, texts in splits.items()
    }
    rows = sum(map(len, made.values()))
    return DataSet("reviews", "reviews", ("no", "yes"), "text", made, DataReport(rows, rows))


def hashes(texts: str) -> set[str]:
    return {row_hash(text) for text in texts.split()}


def texts(examples: tuple[Example, ...]) -> str:
    return " ".join(example.text for example in examples)


def test_the_test_split_is_the_default() -> None:
    selection = select_rows(data(train="a b", validation="c", test="d e"), None, hashes("a b"), ())
    assert (selection.split, texts(selection.examples), selection.left_out) == ("test", "d e", 0)
    assert selection.note is None


def test_another_split_can_be_named() -> None:
    dataset = data(train="a b", validation="c", test="d e")
    assert texts(select_rows(dataset, "validation", (), ()).examples) == "c"
    assert texts(select_rows(dataset, ALL, (), ()).examples) == "a b c d e"


def test_rows_trained_on_are_left_out_and_counted_however_they_are_written() -> None:
    selection = select_rows(data(test="A b c"), None, hashes("a b x"), ())
    assert (texts(selection.examples), selection.left_out) == ("c", 2)
    assert selection.note == "Left out: 2 rows trained on."


def test_a_text_that_both_hold_does_not_make_it_the_same_file() -> None:
    selection = select_rows(data(all="a b c d"), None, hashes("x y"), hashes("a v w"))
    assert (selection.split, texts(selection.examples)) == (ALL, "a b c d")


def test_without_splits_the_rows_that_training_held_out_are_found_again() -> None:
    dataset = data(all="a b c d e f")
    selection = select_rows(dataset, None, hashes("a b c"), hashes("e f z"))
    assert (selection.split, texts(selection.examples)) == (HELD_OUT, "e f")
    assert selection.left_out == 3
    assert selection.note is not None
    assert (
        "3 rows trained on, 1 row of neither kind" in selection.note
    )  # d: all six rows are accounted for


def test_where_only_the_test_split_is_missing_its_held_out_rows_are_found_too() -> None:
    selection = select_rows(data(train="a b c", validation="d"), None, hashes("a b"), hashes("c"))
    assert (selection.split, texts(selection.examples)) == (HELD_OUT, "c")


def test_a_row_both_trained_on_and_held_out_is_left_out() -> None:
    selection = select_rows(data(all="a b"), None, hashes("a"), hashes("a b"))
    assert (texts(selection.examples), selection.left_out) == ("b", 1)


def test_rows_validated_on_are_left_out_and_counted_too() -> None:
    dataset = data(train="a b", validation="c d", test="e c f")
    trained, validated = hashes("a b"), hashes("c d b")
    found = select_rows(dataset, ALL, trained, (), validated)
    assert (texts(found.examples), found.left_out) == ("e f", 5)
    assert found.note == "Left out: 2 rows trained on, 3 rows validated on."
    assert texts(select_rows(dataset, None, trained, (), validated).examples) == "e f"
    held_out = select_rows(data(all="a b c d e f"), None, hashes("a b"), hashes("e f"), hashes("c"))
    assert (texts(held_out.examples), held_out.left_out) == ("e f", 3)
    said = "2 rows trained on, 1 row validated on, 1 row of neither kind"
    assert said in str(held_out.note)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_rows_validated_on_are_measured_where_they_are_asked_for_or_all_there_is(
    split: str,
) -> None:
    """Some sets have one file for both; their run is measured, and what that is worth is said."""
    dataset = data(train="a b", validation="c d", test="c d")
    found = select_rows(dataset, split, hashes("a b"), (), hashes("c d"))
    assert (texts(found.examples), found.left_out) == ("c d", 0)
    assert "2 rows of these had a part in choosing the weights" in str(found.note)


def test_other_data_without_splits_is_taken_whole() -> None:
    selection = select_rows(data(all="a b c"), None, hashes("c z"), hashes("y"))
    assert (selection.split, texts(selection.examples), selection.left_out) == (ALL, "a b", 1)


@pytest.mark.parametrize("split", ["dev", None, HELD_OUT])
def test_a_split_that_is_not_there_is_the_users_error(split: str | None) -> None:
    with pytest.raises(UserError, match=r"it has: train, validation\. .*--split"):
        select_rows(data(train="a", validation="b"), split, (), ())


def test_nothing_left_to_measure_is_the_users_error() -> None:
    with pytest.raises(UserError, match=r"left out \(2 rows\)"):
        select_rows(data(train="a b", test="c"), "train", hashes("a b"), ())


def test_baselines_learn_from_the_train_split_and_never_from_a_measured_row() -> None:
    dataset = data(train="a b c", validation="c d", test="A e")
    selection = select_rows(dataset, None, hashes("b c"), ())
    found = baseline_rows(dataset, selection, hashes("b c"))
    assert (texts(found.train), texts(found.validation)) == ("b c", "c d")
    assert found.note == "TF-IDF and the majority class learned from 2 rows of this data."
    on_validation = select_rows(dataset, "validation", (), ())
    assert texts(baseline_rows(dataset, on_validation, ()).validation) == ""
    assert texts(baseline_rows(dataset, on_validation, ()).train) == "a b"


def test_baselines_say_when_the_model_was_tuned_on_other_rows() -> None:
    dataset = data(train="a b c", test="d")
    selection = select_rows(dataset, None, (), ())
    assert "tuned on none of these" in baseline_rows(dataset, selection, hashes("z")).note
    assert "tuned on 2 of these" in baseline_rows(dataset, selection, hashes("a b")).note


def test_without_a_train_split_baselines_learn_from_the_rows_trained_on() -> None:
    dataset = data(all="a b c d")
    selection = select_rows(dataset, None, hashes("a b"), hashes("d"))
    assert texts(baseline_rows(dataset, selection, hashes("a b")).train) == "a b"
    nothing = baseline_rows(dataset, select_rows(dataset, None, (), ()), ())
    assert nothing.train == ()
    assert "no rows to train them on" in nothing.note

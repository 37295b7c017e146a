"""`LabelTuner` is a scikit-learn estimator: it clones, pipes, is searched over, and saves."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from sentilora import LabelTuner, load
from sentilora.artifact import Artifact
from sentilora.conformal import Conformal
from sentilora.correction import corrected
from sentilora.data import row_hash
from sentilora.errors import UserError
from tuned import TASK, write_base

GOOD, BAD = ("gorgeous", "compelling", "witty"), ("silly", "tedious", "juvenile")
FILLERS = ("the", "film", "movie", "some", "effects", "actors", "special", "very", "it")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("estimator")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTILORA_CACHE", str(folder / "cache"))
        yield str(write_base(folder / "base", "qwen2"))


def tuner(base: str, **options: Any) -> LabelTuner:
    given = {"epochs": 2, "batch_size": 8, "rank": 4, "learning_rate": 0.02, **options}
    given = {"template": TASK.template, "device": "cpu", "dtype": "float32", **given}
    return LabelTuner(base, max_length=96, **given)


def rows(count: int = 24, seed: int = 0) -> tuple[list[str], list[str]]:
    draw = random.Random(seed)
    texts, labels = [], []
    for i in range(count):
        words = [draw.choice(FILLERS) for _ in range(draw.randint(2, 6))]
        words.insert(draw.randint(0, len(words)), draw.choice((BAD, GOOD)[i % 2]))
        texts.append(" ".join(words))
        labels.append(("negative", "positive")[i % 2])
    return texts, labels


@pytest.fixture(scope="module")
def fitted(base: str) -> LabelTuner:
    return tuner(base, epochs=8, targets="all", dropout=0.0).fit(*rows(64))


def test_it_learns(fitted: LabelTuner) -> None:
    texts, labels = rows(40, seed=1)
    assert fitted.score(texts, labels) > 0.8


def test_with_patience_the_held_out_rows_are_followed(base: str) -> None:
    fitted = tuner(base, epochs=8, targets="all", dropout=0.0, patience=8).fit(*rows(64))
    assert fitted.history_[0]["step"] == 0
    assert fitted.history_[-1]["loss"] < fitted.history_[0]["loss"]


def test_predictions_are_the_likeliest_classes(fitted: LabelTuner) -> None:
    texts, _ = rows(6)
    probabilities = fitted.predict_proba(texts)
    assert fitted.classes_.tolist() == ["negative", "positive"]
    assert probabilities.shape == (6, 2)
    assert (fitted.predict(texts) == fitted.classes_[probabilities.argmax(axis=1)]).all()


def test_saved_and_loaded_it_gives_equal_probabilities(fitted: LabelTuner, tmp_path: Path) -> None:
    texts, _ = rows(10, seed=2)
    fitted.save(tmp_path / "adapter")
    loaded = load(tmp_path / "adapter", dtype="float32")
    np.testing.assert_array_equal(loaded.predict_proba(texts), fitted.predict_proba(texts))
    assert loaded.predict(texts).tolist() == fitted.predict(texts).tolist()
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    fitted.save(tmp_path / "adapter")  # an adapter is replaced


@pytest.mark.parametrize("names", [["README.md"], ["README.md", "sentilora.json", "run.json"]])
def test_saving_spares_a_folder_of_other_files(
    names: list[str], fitted: LabelTuner, tmp_path: Path
) -> None:
    """A run of the command line is one: what it was trained on would be taken for the new one's."""
    for name in names:
        (tmp_path / name).write_text("my project")
    with pytest.raises(UserError, match="already holds other files"):
        fitted.save(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        names, "my project"
    )


def test_what_was_held_out_is_not_among_the_rows_trained_on(base: str, tmp_path: Path) -> None:
    tuner(base, patience=2).fit(*rows(64)).save(tmp_path / "adapter")
    kept = Artifact.read(tmp_path / "adapter").rows
    assert len(kept.train) + len(kept.validation) == 64
    assert kept.validation
    assert not set(kept.train) & set(kept.validation)


def test_without_patience_all_rows_are_trained_on(fitted: LabelTuner, tmp_path: Path) -> None:
    fitted.save(tmp_path / "adapter")
    kept = Artifact.read(tmp_path / "adapter").rows
    assert (len(kept.train), len(kept.validation)) == (64, 0)
    assert fitted.history_ == []


def test_balanced_training_keeps_its_choice_and_corrects_probabilities(
    base: str, tmp_path: Path
) -> None:
    texts, labels = rows(32)
    texts, labels = texts + texts[::2], labels + labels[::2]  # two negative for one positive
    fitted = tuner(base, class_weight="balanced", epochs=4).fit(texts, labels)
    found, scorer = fitted.predict_proba(texts), fitted.classifier_.scorer
    even = scorer.probabilities(scorer.encoder.encode(texts))
    odds, even_odds = found[:, 1] / found[:, 0], even[:, 1] / even[:, 0]
    np.testing.assert_allclose(odds * 2, even_odds, rtol=1e-4)
    chosen = fitted.classes_[even.argmax(axis=1)]
    assert (fitted.predict(texts) == chosen).all()
    fitted.save(tmp_path / "adapter")
    loaded = load(tmp_path / "adapter", dtype="float32")
    np.testing.assert_array_equal(loaded.predict_proba(texts), found)
    assert loaded.predict(texts).tolist() == chosen.tolist()
    assert [row["label"] for row in loaded(texts)] == chosen.tolist()
    assert [row[0]["label"] for row in loaded(texts, top_k=None)] == chosen.tolist()


def test_one_seed_one_result(base: str) -> None:
    texts, labels = rows()
    first, second, third = (
        tuner(base, random_state=seed, dropout=0.3).fit(texts, labels).predict_proba(texts)
        for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-4


def test_it_survives_pickling(fitted: LabelTuner) -> None:
    texts, _ = rows(5)
    copied = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copied.predict_proba(texts), fitted.predict_proba(texts))


# Labels and texts of every kind -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (("negative", "positive"), np.array),
        ((0, 1), list),
        ((0, 1), pd.Series),
        ((False, True), np.array),
        (("no", "yes"), pd.Categorical),
    ],
)
def test_predictions_have_the_type_that_the_labels_had(values: Any, kind: Any, base: str) -> None:
    texts, labels = rows()
    y = kind([values[label == "positive"] for label in labels])
    fitted = tuner(base, epochs=1).fit(pd.Series(texts), y)
    assert fitted.classes_.tolist() == list(values)
    assert set(fitted.predict(np.array(texts)).tolist()) <= set(values)
    assert fitted.classifier_.task.labels == tuple(map(str, values))
    assert 0 <= fitted.score(texts, y) <= 1


def test_fitting_again_forgets_the_first_fit(base: str) -> None:
    texts, labels = rows()
    again = tuner(base, epochs=1).fit(texts, ["a" + label for label in labels]).fit(texts, labels)
    fresh = tuner(base, epochs=1).fit(texts, labels)
    assert again.classes_.tolist() == ["negative", "positive"]
    np.testing.assert_array_equal(again.predict_proba(texts), fresh.predict_proba(texts))


def test_a_fit_that_fails_leaves_the_last_one(fitted: LabelTuner) -> None:
    texts, _ = rows(5)
    before = fitted.predict_proba(texts)
    with pytest.raises(ValueError, match="two or more"):
        fitted.fit(texts, ["only"] * 5)
    assert fitted.classes_.tolist() == ["negative", "positive"]
    np.testing.assert_array_equal(fitted.predict_proba(texts), before)


@pytest.mark.parametrize(
    ("texts", "labels", "problem"),
    [
        (["a", "b", None, "d"], [0, 1, 0, 1], "position 2 is no string"),
        (["a", "b", "", "d"], [0, 1, 0, 1], "position 2 is empty"),
        (["a", "b", "c"], [0, 1], "3 texts and 2 labels"),
        ("abcd", [0, 1, 0, 1], r"use \[text\]"),
        ([["a"], ["b"]], [0, 1], "no string"),
        (pd.DataFrame({"x": ["a", "b"]}), [0, 1], "give one column"),
        (np.array([["a"], ["b"]]), [0, 1], "give one column"),
        (["a", "b", "c"], [0, 0, 0], "only one label"),
        (["a", "b", "c", "d"], [0.1, 0.7, 0.2, 0.9], "continuous"),
        (["a", "b"], [[0, 1], [1, 0]], "1d array"),
        ([], [], "no label|empty|0"),
    ],
)
def test_texts_and_labels_that_are_no_use(texts: Any, labels: Any, problem: str, base: str) -> None:
    with pytest.raises(ValueError, match=problem):
        tuner(base).fit(texts, labels)


def test_patience_needs_rows_to_hold_out(base: str) -> None:
    with pytest.raises(UserError, match="can be held out"):
        tuner(base, patience=1).fit(["a", "b"], [0, 1])


def test_settings_out_of_range_are_refused_when_it_is_fitted(base: str) -> None:
    for options, problem in (
        ({"rank": 0}, "rank of 0"),
        ({"epochs": 0}, "epochs"),
        ({"targets": "everything"}, "'everything'"),
    ):
        with pytest.raises(UserError, match=problem):
            tuner(base, **options).fit(*rows())
    with pytest.raises(UserError, match="subject"):  # and before a base is looked for
        LabelTuner("./no-such-base", subject="").fit(*rows())


def test_numpy_numbers_are_numbers(base: str, tmp_path: Path) -> None:
    """As a search over `np.arange` gives them."""
    options = {"rank": np.int64(2), "epochs": np.int64(1), "alpha": np.float32(8)}
    fitted = tuner(base, **options, random_state=np.int64(3)).fit(*rows())
    fitted.save(tmp_path / "adapter")
    assert Artifact.read(tmp_path / "adapter").adapter.rank == 2


# scikit-learn's ways ----------------------------------------------------------------------------


def test_it_clones_with_its_parameters_and_nothing_else(fitted: LabelTuner) -> None:
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copied.predict(["a"])
    with pytest.raises(NotFittedError):
        copied.save("nowhere")
    assert clone(fitted).set_params(rank=2, targets="all").get_params()["targets"] == "all"
    with pytest.raises(ValueError, match="Invalid parameter"):
        copied.set_params(ranks=2)


def test_cross_validation(base: str) -> None:
    texts, labels = rows()
    scores = cross_val_score(tuner(base, epochs=1), texts, labels, cv=2)
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


def test_in_a_pipeline_under_a_grid_search(base: str) -> None:
    texts, labels = rows()
    piped = make_pipeline(FunctionTransformer(_upper), tuner(base, epochs=1))
    grid = {"labeltuner__rank": [2, 4], "labeltuner__learning_rate": [0.01]}
    search = GridSearchCV(piped, grid, cv=2, scoring="neg_log_loss").fit(texts, labels)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_[-1].rank == search.best_params_["labeltuner__rank"]
    assert search.predict(texts).shape == (24,)


def _upper(texts: list[str]) -> list[str]:
    return [text.upper() for text in texts]


@pytest.mark.filterwarnings("ignore:Can't test estimator LabelTuner")
@parametrize_with_checks([LabelTuner()])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    """Those that it runs for an estimator of texts; the others are of numbers."""
    check(estimator)


def test_what_it_says_of_itself() -> None:
    tags = LabelTuner().__sklearn_tags__()
    assert is_classifier(LabelTuner())
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.required


def test_probabilities_are_calibrated_on_the_rows_that_are_held_out(
    base: str, tmp_path: Path
) -> None:
    texts, labels = rows(1_000)
    texts = [f"{text} {number}" for number, text in enumerate(texts)]  # each its own
    labels = [label if number % 7 else "positive" for number, label in enumerate(labels)]
    fitted = tuner(base, patience=1, epochs=1).fit(texts, labels)
    temperature = fitted.classifier_.correction.temperature
    assert temperature != 1.0
    scorer = fitted.classifier_.scorer
    raw = scorer.probabilities(scorer.encoder.encode(texts[:20]))
    found = fitted.predict_proba(texts[:20])
    np.testing.assert_allclose(found, corrected(raw, temperature), atol=1e-6)
    assert (found.argmax(axis=1) == raw.argmax(axis=1)).all()
    fitted.save(tmp_path / "adapter")
    loaded = load(tmp_path / "adapter", dtype="float32")
    np.testing.assert_array_equal(loaded.predict_proba(texts[:20]), found)
    keys = loaded.artifact.rows.validation
    held = [row for row, text in enumerate(texts) if row_hash(text) in keys]
    scores = Conformal.calibrate(
        loaded.predict_proba([texts[row] for row in held]),
        [loaded.task.labels.index(labels[row]) for row in held],
    )
    assert loaded.conformal == fitted.classifier_.conformal
    assert loaded.conformal.rows == len(held)  # of the rows held out, by the probabilities reported
    np.testing.assert_allclose(loaded.conformal.scores, scores.scores, atol=1e-5)
    np.testing.assert_allclose(loaded.score(texts[:20]).probabilities, found, atol=1e-5)
    with loaded.untuned() as untuned:
        assert untuned.correction.temperature == 1.0

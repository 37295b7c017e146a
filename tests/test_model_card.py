"""The model card is one that the Hub can read, and claims what was measured and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

from sentilora.adapters import AdapterSettings, ParameterCount
from sentilora.bases import BaseIdentity
from sentilora.card_results import with_results
from sentilora.correction import Correction
from sentilora.data.dataset import HubAddress
from sentilora.errors import UserError
from sentilora.evaluation import Evaluation
from sentilora.evaluation.metrics import classification_metrics
from sentilora.evaluation.recalibration import recalibration
from sentilora.model_card import model_card
from sentilora.scoring import Scores
from sentilora.task import Task
from sentilora.training import TrainSettings

TASK = Task.default(("negative", "positive"), "movie review")
BASE = BaseIdentity(
    origin="hub",
    name="someone/tiny",
    revision="a" * 40,
    hub_name="someone/tiny",
    path=None,
    fingerprint="0123456789abcdef" * 4,
    quantization=None,
    dtype="bfloat16",
    licence="Apache-2.0",
)
TRUE = [0, 0, 0, 1, 1, 1, 1, 0]


def evaluation() -> Evaluation:
    tuned = classification_metrics(TRUE, [0, 0, 0, 1, 1, 1, 1, 1], TASK.labels)
    untuned = classification_metrics(TRUE, [0, 1, 0, 1, 0, 1, 0, 1], TASK.labels)
    return Evaluation(
        data="films",
        split="test",
        rows=8,
        left_out=1,
        baseline_rows=20,
        notes=("Left out: 1 row trained on.",),
        results={
            "tuned": replace(tuned, label_mass=0.987, greedy_share=1.0, calibration_error=0.031),
            "untuned": replace(untuned, label_mass=0.5, greedy_share=0.25),
            "tfidf_logistic_regression": untuned,
            "majority_class": untuned,
        },
        calibration=recalibration(Scores(np.zeros((8, 2)), np.ones(8, dtype=bool)), TRUE),
    )


def card(**changes: Any) -> str:
    given: dict[str, Any] = {
        "name": "tiny-films",
        "task": TASK,
        "base": BASE,
        "adapter": AdapterSettings(),
        "parameters": ParameterCount(trained=1234, total=1_000_000),
        "training": TrainSettings().to_dict(),
        "data_name": "films",
        "data_hub": HubAddress("someone/films"),
        "row_counts": {"train": 20, "validation": 5, "test": 9},
        "correction": Correction(),
        "evaluation": evaluation(),
    }
    return model_card(**{**given, **changes})


def test_the_hub_can_read_its_metadata() -> None:
    data = ModelCard(card()).data
    assert data.base_model == "someone/tiny"
    assert data.library_name == "peft"
    assert data.pipeline_tag == "text-classification"
    assert data.license == "apache-2.0"
    assert data.datasets == ["someone/films"]
    assert data.model_name == "tiny-films"
    results = {result.metric_type: result for result in data.eval_results}
    assert results["accuracy"].metric_value == 0.875
    assert results["accuracy"].dataset_type == "someone/films"
    assert results["accuracy"].dataset_split == "test"
    assert results["f1"].metric_name == "Macro-F1"
    assert results["f1"].metric_args == {"average": "macro"}
    assert results["f1"].metric_value == pytest.approx(0.8730, abs=1e-4)


def test_where_on_the_hub_the_data_is_is_said_as_far_as_it_is_known() -> None:
    hub = HubAddress("someone/films", "short", "refs/convert/parquet")
    for each in ModelCard(card(data_hub=hub)).data.eval_results:
        assert (each.dataset_config, each.dataset_revision) == ("short", "refs/convert/parquet")
    for each in ModelCard(card()).data.eval_results:
        assert (each.dataset_config, each.dataset_revision) == (None, None)


def elsewhere(accuracy: float, data: str = "shops", split: str = "test") -> Evaluation:
    tuned = replace(evaluation().tuned, accuracy=accuracy)
    return replace(evaluation(), data=data, split=split, results={"tuned": tuned})


def test_results_on_other_data_are_added() -> None:
    updated = with_results(card() + "\n## Mine\n\nMy own words.\n", elsewhere(0.625), None)
    parsed = ModelCard(updated)
    found = [
        (each.dataset_name, each.metric_type, each.metric_value)
        for each in parsed.data.eval_results
    ]
    own = [
        (each.dataset_name, each.metric_type, each.metric_value)
        for each in ModelCard(card()).data.eval_results
    ]
    assert found == [*own, ("shops", "accuracy", 0.625), ("shops", "f1", own[1][2])]
    assert parsed.text.startswith(ModelCard(card()).text)
    assert "My own words." in parsed.text
    section = parsed.text.split("## Results on other data\n\n")[1]
    assert section.startswith("### shops (test)\n\n8 rows of shops (test)")
    assert "| This adapter | 62.5% |" in section
    data, before = parsed.data.to_dict(), ModelCard(card()).data.to_dict()
    assert {**data, "model-index": None} == {**before, "model-index": None}


def test_results_on_the_same_data_are_replaced() -> None:
    first = with_results(with_results(card(), elsewhere(0.5), None), elsewhere(0.6, "a.b*"), None)
    again = with_results(first, elsewhere(0.75), None)
    assert again == with_results(again, elsewhere(0.75), None)
    text = ModelCard(again).text
    assert text.count("## Results on other data") == text.count("### shops (test)") == 1
    assert "50.0%" not in text.split("## Results on other data")[1]
    assert "| This adapter | 60.0% |" in text
    other = ModelCard(with_results(again, elsewhere(0.8, split="validation"), None))
    assert len(other.data.eval_results) == 8


@pytest.mark.parametrize("metadata", ["- a list", "tags: [one", "a: b: c"])
def test_a_card_that_was_damaged_is_refused(metadata: str) -> None:
    with pytest.raises(UserError, match="metadata"):
        with_results(f"---\n{metadata}\n---\n", elsewhere(0.5), None)


def test_it_holds_labels_prompt_and_results_with_intervals() -> None:
    text = ModelCard(card()).text
    assert "`negative`, `positive`" in text
    assert f"```\n{TASK.template}\n```" in text
    assert "| This adapter | 87.5% | 52.9%–97.8% | 0.873 | 0.031 | 98.7% | 100.0% |" in text
    assert "| TF-IDF + logistic regression | 50.0% | 21.5%–78.5% | 0.500 | – | – |" in text
    assert "Left out: 1 row trained on." in text
    assert "8 rows of films (test)" in text
    assert "1,234 parameters (0.12% of the base)" in text
    assert "rank 8, alpha 32, dropout 0.1, on `query`, `value`" in text
    assert "20 train, 5 validation, 9 test rows" in text


def test_without_an_evaluation_nothing_is_claimed() -> None:
    parsed = ModelCard(card(evaluation=None))
    assert parsed.data.eval_results is None
    assert "Not measured." in parsed.text
    assert "%" not in parsed.text.split("## Results")[1].split("## Training")[0]


def test_a_base_from_disk_and_data_from_a_file_name_nothing_on_the_hub() -> None:
    base = replace(BASE, origin="gguf", name="m/x.gguf", hub_name=None, path="m/x.gguf")
    base = replace(
        base,
        licence=None,
        quantization={"file": "x.gguf", "file_sha256": "ab" * 32, "tensors": {"F32": 3, "Q4_1": 9}},
    )
    parsed = ModelCard(card(base=base, data_hub=None))
    assert parsed.data.base_model is None
    assert parsed.data.license is None
    assert parsed.data.datasets is None
    assert "GGUF file x.gguf (tensors: 3 F32, 9 Q4_1; SHA-256 abab" in parsed.text


@pytest.mark.parametrize(
    "template", ["A\n```\n{text}\n```\nB:", "---\nlicense: other\n---\n{text}:", "# {text} *x* |:"]
)
def test_a_template_cannot_break_out_of_its_fence(template: str) -> None:
    text = card(task=Task(template, ("a", "b")))
    parsed = ModelCard(text)
    assert parsed.data.license == "apache-2.0"
    fence = parsed.text.split("## The prompt\n\n")[1].splitlines()[0]
    assert set(fence) == {"`"}
    assert f"{fence}\n{template}\n{fence}\n" in parsed.text
    assert fence not in template


@pytest.mark.parametrize("name", ["yes", "a: b", "'quoted\"", "1.0", "#x", "Filme – schön"])
def test_names_are_quoted_as_yaml_wants_them(name: str) -> None:
    measured = replace(evaluation(), data=name)
    text = card(name=name, data_name=name, data_hub=None, evaluation=measured)
    data = ModelCard(text).data
    assert data.model_name == name
    assert data.eval_results[0].dataset_name == name


def test_it_says_how_probabilities_were_corrected() -> None:
    assert "are not calibrated" in card()
    corrected = card(correction=Correction(1.625, (0.9, 0.1)))
    assert "a temperature of 1.62 was fitted on 5 validation rows" in corrected
    assert "shares (90.0%, 10.0%)" in corrected

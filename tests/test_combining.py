"""Adapters in one: the weighted sum of their updates, and what doesn't fit together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sentilora.adapters import AdapterSettings
from sentilora.artifact import DESCRIPTION
from sentilora.classifier import Classifier, load
from sentilora.combining import combine, parse_weights
from sentilora.correction import Correction
from sentilora.errors import UserError
from tuned import SETTINGS, TASK, TEXTS, load_from, save_tuned, train, write_base

FP32 = {"dtype": "float32", "device": "cpu"}


def saved(folder: Path, base: Path, **changes: Any) -> Path:
    """The folder of an adapter trained on `base`."""
    adapter = replace(AdapterSettings(rank=4), **changes.pop("adapter", {}))
    settings = replace(SETTINGS, seed=changes.pop("seed", 0))
    task = replace(TASK, **changes)
    tuning, result = train(load_from(base), folder / "run", adapter, settings, task)
    return save_tuned(tuning, result, folder / "adapter").path


def updates(classifier: Classifier) -> dict[str, torch.Tensor]:
    """What each adapted weight is changed by."""
    layers = classifier.scorer.model.named_modules()
    return {
        name: layer.get_delta_weight("default").clone()
        for name, layer in layers
        if hasattr(layer, "get_delta_weight")
    }


@pytest.fixture(params=["llama", "gpt2"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_base(tmp_path / "base", request.param)


@pytest.mark.parametrize("rslora", [(False, False), (True, True), (True, False), (False, True)])
def test_linear_is_the_weighted_sum_of_the_updates(
    base: Path, tmp_path: Path, rslora: tuple[bool, bool]
) -> None:
    one = saved(tmp_path / "one", base, adapter={"rslora": rslora[0]})
    kind = {"rank": 2, "alpha": 6.0, "rslora": rslora[1]}
    other = saved(tmp_path / "other", base, seed=5, adapter=kind)
    first, second = updates(load(one, **FP32)), updates(load(other, **FP32))
    combined = combine(load(one, **FP32), [other], [0.7, -0.4])
    found = updates(combined)
    assert found.keys() == first.keys()
    for name, update in found.items():
        assert torch.allclose(update, 0.7 * first[name] - 0.4 * second[name], atol=1e-6)
    assert any(bool(update.any()) for update in found.values())


def test_alone_with_a_weight_of_one_it_answers_as_before(base: Path, tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one", base), saved(tmp_path / "other", base, seed=5)
    before = load(one, **FP32).score(TEXTS).log_probs
    after = combine(load(one, **FP32), [other], [1.0, 0.0]).score(TEXTS).log_probs
    assert after == pytest.approx(before, abs=1e-5)


def test_what_was_fitted_to_one_adapter_is_not_said_of_the_sum(base: Path, tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one", base), saved(tmp_path / "other", base, seed=5)

    def corrected(*shares: tuple[float, float] | None) -> Correction:
        for path, share in zip((one, other), shares, strict=True):
            description = json.loads((path / DESCRIPTION).read_text())
            description["correction"] = Correction(2.0, share).to_dict()
            (path / DESCRIPTION).write_text(json.dumps(description))
        first = load(one, **FP32)
        assert first.conformal is not None
        combined = combine(first, [other], [0.5, 0.5])
        assert combined.conformal is None
        return combined.correction

    assert corrected((0.9, 0.1), (0.9, 0.1)) == Correction(1.0, (0.9, 0.1))
    assert corrected((0.9, 0.1), None) == Correction()
    assert corrected((0.9, 0.1), (0.8, 0.2)) == Correction()


@pytest.mark.parametrize("method", ["ties", "dare_linear", "dare_ties"])
def test_thinned_out_it_is_still_of_both(base: Path, tmp_path: Path, method: str) -> None:
    one, other = saved(tmp_path / "one", base), saved(tmp_path / "other", base, seed=5)
    found = [
        combine(load(one, **FP32), [other], [0.5, 0.5], method, 0.5).score(TEXTS).log_probs
        for _ in range(2)
    ]
    assert (found[0] == found[1]).all()
    alone = [load(path, **FP32).score(TEXTS).log_probs for path in (one, other)]
    assert all(abs(found[0] - each).max() > 1e-4 for each in alone)


def test_what_does_not_fit_together_is_refused(base: Path, tmp_path: Path) -> None:
    one = saved(tmp_path / "one", base)
    another = write_base(tmp_path / "another", "llama", seed=9)
    strangers = {
        "another base": saved(tmp_path / "a", another),
        "other labels": saved(tmp_path / "b", base, labels=("bad", "good")),
        "the prompt 'Is this good": saved(
            tmp_path / "d", base, template="Is this good? {text} So:"
        ),
        "labels that begin with '\\\\n'": saved(tmp_path / "e", base, label_prefix="\n"),
        "cut to their 'beginning'": saved(tmp_path / "f", base, long_texts="beginning"),
        "DoRA": saved(tmp_path / "c", base, adapter={"dora": True}),
    }
    for words, stranger in strangers.items():
        with pytest.raises(UserError, match=words):
            combine(load(one, **FP32), [stranger], [0.5, 0.5])
    with pytest.raises(UserError, match="no method 'mean'"):
        combine(load(one, **FP32), [one], [0.5, 0.5], "mean")
    with pytest.raises(UserError, match="density"):
        combine(load(one, **FP32), [one], [0.5, 0.5], "ties", 1.5)


def test_texts_are_read_as_far_as_the_shortest_was(base: Path, tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one", base), saved(tmp_path / "other", base, max_length=64)
    for first, second in ((one, other), (other, one)):
        combined = combine(load(first, **FP32), [second], [0.5, 0.5])
        assert combined.task == replace(TASK, max_length=64)


def test_weights() -> None:
    assert parse_weights(None, 4) == [0.25] * 4
    assert parse_weights("0.5, -2", 2) == [0.5, -2.0]
    for given in ("0.5", "0.5,0.5,1", "0.5;0.5", "nan,1"):
        with pytest.raises(UserError, match="must be 2 numbers"):
            parse_weights(given, 2)

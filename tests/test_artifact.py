"""The adapter folder: what is in it, that it comes back the same, and that damage is refused."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftConfig
from safetensors.torch import load_file, save_file

from models import tiny_model
from sentilora import load
from sentilora.adapters import AdapterSettings
from sentilora.artifact import (
    CARD,
    DESCRIPTION,
    HASHED,
    PEFT_CONFIG,
    ROWS,
    WEIGHTS,
    Artifact,
)
from sentilora.canary import CANARY_TEXTS, Canary, check_canary
from sentilora.data import row_hash
from sentilora.errors import UserError
from sentilora.files import sha256
from tuned import TEXTS, base_in_memory, load_from, save_tuned, train, write_base

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """A base's folder, the folder of an adapter on it, and the scores it gave when it was saved."""
    folder = tmp_path_factory.mktemp("artifact")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTILORA_CACHE", str(folder / "cache"))
        base = load_from(write_base(folder / "base"))
        tuning, result = train(base, folder / "run")
        save_tuned(tuning, result, folder / "adapter")
    return folder / "base", folder / "adapter", tuning.scorer.score(TEXTS)


@pytest.fixture
def adapter(made: tuple[Path, Path, Any], tmp_path: Path) -> Path:
    """A copy of the adapter, to be damaged."""
    return Path(shutil.copytree(made[1], tmp_path / "copy"))


def describe(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the description, as someone would who keeps the hashes right."""
    values = json.loads((folder / DESCRIPTION).read_text())
    change(values)
    (folder / DESCRIPTION).write_text(json.dumps(values))


def rehash(folder: Path) -> None:
    describe(
        folder, lambda values: values.update(files={name: sha256(folder / name) for name in HASHED})
    )


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    rehash(folder)


# There and back ---------------------------------------------------------------------------------


def test_a_loaded_adapter_gives_the_scores_that_it_gave_when_it_was_saved(
    made: tuple[Path, Path, Any],
) -> None:
    _, adapter, before = made
    after = load(adapter, dtype="float32").score(TEXTS)
    np.testing.assert_array_equal(after.log_probs, before.log_probs)
    np.testing.assert_array_equal(after.greedy, before.greedy)


@pytest.mark.parametrize("architecture", ["gpt2", "phi3", "gemma3"])
@pytest.mark.parametrize("kind", [{}, {"dora": True}, {"rslora": True}])
def test_there_and_back_with_fused_projections_dora_and_rslora(
    architecture: str, kind: dict[str, bool], tmp_path: Path
) -> None:
    base = load_from(write_base(tmp_path / "base", architecture))
    settings = AdapterSettings(rank=4, alpha=8, **kind)
    tuning, result = train(base, tmp_path / "run", settings)
    artifact = save_tuned(tuning, result, tmp_path / "adapter")
    loaded = load(tmp_path / "adapter", dtype="float32")
    before = tuning.scorer.score(TEXTS).log_probs
    np.testing.assert_array_equal(loaded.score(TEXTS).log_probs, before)
    assert artifact.adapter == settings


def test_the_folder_says_all_that_scoring_needs(made: tuple[Path, Path, Any]) -> None:
    base, adapter, _ = made
    artifact = Artifact.read(adapter)
    assert {path.name for path in adapter.iterdir()} == {*HASHED, DESCRIPTION, CARD}
    assert artifact.task.labels == ("negative", "positive")
    assert artifact.base.path == artifact.base.name == str(base)
    assert artifact.base.hub_name is None
    assert len(artifact.base.fingerprint) == 64
    assert artifact.canary.texts == CANARY_TEXTS
    assert artifact.canary.dtype == "float32"
    assert artifact.metrics["best_step"] > 0
    assert artifact.metrics["history"][0]["step"] == 0
    assert artifact.rows.train == ("0123456789abcdef",)
    assert artifact.rows.validation == ("fedcba9876543210",)


def test_rows_are_hashes_and_no_users_text_is_in_the_folder(made: tuple[Path, Path, Any]) -> None:
    assert row_hash("Some  Text") == row_hash("some text") != row_hash("some texts")
    for file in made[1].iterdir():
        content = file.read_bytes()
        assert not any(text.encode() in content for text in TEXTS if len(text) > 15)


def test_stock_peft_is_told_the_base_as_it_can_load_it(
    made: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    """The path as given for a base from disk; else the Hub's name, for an index base too."""
    config = PeftConfig.from_pretrained(str(made[1]))
    assert config.base_model_name_or_path == str(made[0])
    assert config.revision is None
    base = base_in_memory(tiny_model("gpt2"), "HuggingFaceTB/Some-Model")
    base.identity = replace(base.identity, revision="f" * 40)
    tuning, result = train(base, tmp_path / "run")
    save_tuned(tuning, result, tmp_path / "hub")
    config = PeftConfig.from_pretrained(str(tmp_path / "hub"))
    assert config.base_model_name_or_path == "HuggingFaceTB/Some-Model"
    assert config.revision == "f" * 40
    tuning.base.identity = replace(
        base.identity, origin="index", name="some-model", revision=None, path=None
    )
    save_tuned(tuning, result, tmp_path / "index")
    config = PeftConfig.from_pretrained(str(tmp_path / "index"))
    assert config.base_model_name_or_path == "HuggingFaceTB/Some-Model"
    assert config.revision is None


def test_saving_asks_nothing_of_a_hub(no_network: list[str], tmp_path: Path) -> None:
    """A Hub base, whose vocabulary size PEFT would like to ask for; and loading one from disk."""
    tuning, result = train(base_in_memory(tiny_model("llama")), tmp_path / "run")
    save_tuned(tuning, result, tmp_path / "hub")
    base = load_from(write_base(tmp_path / "base"))
    tuning, result = train(base, tmp_path / "run2")
    save_tuned(tuning, result, tmp_path / "disk")
    load(tmp_path / "disk", dtype="float32")
    assert no_network == []


def test_saving_again_replaces_the_adapter(adapter: Path, tmp_path: Path) -> None:
    other = load_from(write_base(tmp_path / "other", seed=9))
    tuning, result = train(other, tmp_path / "run")
    save_tuned(tuning, result, adapter)
    np.testing.assert_array_equal(
        load(adapter, dtype="float32").score(TEXTS).log_probs, tuning.scorer.score(TEXTS).log_probs
    )


def test_a_save_cut_short_leaves_no_adapter_that_loads(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short after the weights: what is there is neither the old adapter nor the new one."""
    tuning, result = train(load_from(write_base(tmp_path / "base")), tmp_path / "run")
    monkeypatch.setattr("sentilora.artifact.asdict", _interrupt_at_rows)
    with pytest.raises(KeyboardInterrupt):
        save_tuned(tuning, result, adapter)
    with pytest.raises(UserError):
        Artifact.read(adapter)
    assert not list(adapter.glob(".*"))


def _interrupt_at_rows(value: Any) -> Any:
    from dataclasses import asdict

    if hasattr(value, "train"):
        raise KeyboardInterrupt
    return asdict(value)


def test_a_folder_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    tuning, result = train(base_in_memory(tiny_model("llama")), tmp_path / "run")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="can't be written to"):
        save_tuned(tuning, result, tmp_path / "file")


# Adapters that would do nothing are not saved ---------------------------------------------------


def test_an_adapter_that_does_nothing_is_not_saved(tmp_path: Path) -> None:
    tuning, result = train(base_in_memory(tiny_model("llama")), tmp_path / "run")
    layers = [m for m in tuning.model.modules() if hasattr(m, "lora_B") and m.lora_B]
    with torch.no_grad():
        for layer in layers:  # an effect far below fp32's last bit
            layer.lora_B["default"].weight.mul_(1e-20)
    with pytest.raises(UserError, match="changes nothing that float32 can show"):
        save_tuned(tuning, result, tmp_path / "adapter")
    with torch.no_grad():
        for layer in layers:
            layer.lora_B["default"].weight.zero_()
    with pytest.raises(UserError, match="B matrices are all zero"):
        save_tuned(tuning, result, tmp_path / "adapter")
    with torch.no_grad():
        layers[0].lora_A["default"].weight[0, 0] = float("inf")
        layers[0].lora_B["default"].weight[0, 0] = 1.0
    with pytest.raises(UserError, match="aren't finite"):
        save_tuned(tuning, result, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


# Damage is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HASHED)
@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_file_that_is_not_as_it_was_saved(name: str, damage: str, adapter: Path) -> None:
    file = adapter / name
    content = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[-2] ^= 1
        file.write_bytes(content)
    problem = "is missing" if damage == "gone" else "is damaged or was changed"
    with pytest.raises(UserError, match=problem) as raised:
        load(adapter)
    assert name in str(raised.value)


def test_weights_that_are_no_safetensors_file(adapter: Path) -> None:
    content = (adapter / WEIGHTS).read_bytes()
    for damaged in (content[:-40], b"", b"\xff" * 100):
        (adapter / WEIGHTS).write_bytes(damaged)
        rehash(adapter)
        with pytest.raises(UserError, match=r"adapter_model.safetensors is damaged"):
            load(adapter)


def _first(tensors: dict[str, torch.Tensor], part: str) -> str:
    return min(name for name in tensors if part in name)


def _drop(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[_first(tensors, "lora_A")]


def _add(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.nothing.lora_A.weight"] = torch.ones(4, 32)


def _reshape(tensors: dict[str, torch.Tensor]) -> None:
    name = _first(tensors, "lora_A")
    tensors[name] = torch.ones(5, 32)


def _zero(tensors: dict[str, torch.Tensor]) -> None:
    for name in tensors:
        if "lora_B" in name:
            tensors[name] = torch.zeros_like(tensors[name])


def _nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors[_first(tensors, "lora_A")][0, 0] = float("nan")


def _scale(tensors: dict[str, torch.Tensor]) -> None:
    tensors[_first(tensors, "lora_B")] *= 1.5


def _all_but_nothing(tensors: dict[str, torch.Tensor]) -> None:
    for name in tensors:
        if "lora_B" in name:
            tensors[name] *= 1e-20


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_drop, r"lacks .*lora_A.* \(1 missing, 0 extra\)"),
        (_add, r"has .*nothing.*doesn't belong \(0 missing, 1 extra\)"),
        (_reshape, r"has the shape \(5, 32\), not \(4, 32\)"),
        (_zero, "B matrices are all zero"),
        (_nan, "aren't finite"),
        (_scale, "doesn't do what it did"),
        (_all_but_nothing, r"doesn't do what it did .* and 0 from those of the base"),
    ],
)
def test_weights_that_are_whole_but_wrong(
    change: Callable[[dict[str, torch.Tensor]], None], problem: str, adapter: Path
) -> None:
    change_weights(adapter, change)
    with pytest.raises(UserError, match=problem):
        load(adapter, dtype="float32")


def test_a_canary_that_is_off(adapter: Path) -> None:
    describe(adapter, lambda values: values["canary"]["tuned"][2].__setitem__(0, -1.0))
    with pytest.raises(UserError, match="doesn't do what it did"):
        load(adapter, dtype="float32")


def test_a_canary_that_is_the_untuned_models(adapter: Path) -> None:
    """Scores that are reproduced, but are no nearer to the tuned than to the untuned ones."""
    describe(adapter, lambda values: values["canary"].update(untuned=values["canary"]["tuned"]))
    with pytest.raises(UserError, match="doesn't do what it did"):
        load(adapter, dtype="float32")


def test_the_canary_that_was_saved_is_the_one_that_is_sung(adapter: Path) -> None:
    """Another version of sentilora may have other texts of its own."""

    def shorten(values: dict[str, Any]) -> None:
        values["canary"] = {
            **values["canary"],
            **{key: values["canary"][key][:2] for key in ("texts", "tuned", "untuned")},
        }

    describe(adapter, shorten)
    assert len(load(adapter, dtype="float32").classes_) == 2


def canary(tuned: float, untuned: float, dtype: str = "float32", processor: str = "cpu") -> Canary:
    return Canary(("a",), ((tuned, -1.0),), ((untuned, -1.0),), dtype, processor)


@pytest.mark.parametrize(
    ("dtype", "off", "holds"),
    [
        ("float32", 0.0005, True),
        ("float32", 0.002, False),
        ("bfloat16", 0.09, True),
        ("bfloat16", 0.11, False),
        ("float16", 0.09, True),
        ("float16", 0.11, False),
        ("float32", float("nan"), False),
    ],
)
def test_the_canarys_tolerance_is_its_dtypes(dtype: str, off: float, holds: bool) -> None:
    then, now = canary(-2.0, -12.0, dtype), canary(-2.0 - off, -12.0, dtype)
    _check(then, now, holds)


@pytest.mark.parametrize(
    ("off", "effect", "holds"),
    [(0.09, 1.0, True), (0.11, 1.0, False), (0.4, 10.0, True), (0.6, 10.0, False)],
)
def test_between_dtypes_and_devices_a_share_of_the_effect_is_rounding(
    off: float, effect: float, holds: bool
) -> None:
    sides = [("bfloat16", "cpu"), ("float32", "cpu"), ("bfloat16", "cuda"), ("float16", "mps")]
    for first, second in itertools.permutations(sides, 2):
        then = canary(-2.0, -2.0 - effect, *first)
        _check(then, canary(-2.0 - off, -2.0 - effect, *second), holds)


def test_in_fp32_another_device_is_no_excuse() -> None:
    _check(canary(-2.0, -12.0), canary(-2.002, -12.0, processor="cuda"), holds=False)


def test_scores_within_rounding_but_nearer_to_the_untuned_are_refused() -> None:
    with pytest.raises(UserError, match=r"off by 0.07 .*and 0.01 from those of the base"):
        check_canary(canary(-2.0, -2.08, "bfloat16"), canary(-2.07, -2.08, "bfloat16"), "It")


def _check(then: Canary, now: Canary, holds: bool) -> None:
    if holds:
        check_canary(then, now, "It")
    else:
        with pytest.raises(UserError, match="doesn't do what it did"):
            check_canary(then, now, "It")


# Descriptions that can't be used ----------------------------------------------------------------


@pytest.mark.parametrize("content", ["{", "[]", "", "\xff", '"text"'])
def test_a_description_that_is_no_json_object(content: str, adapter: Path) -> None:
    (adapter / DESCRIPTION).write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match="The adapter's description"):
        load(adapter)


def test_a_description_of_another_format(adapter: Path) -> None:
    describe(adapter, lambda values: values.update(format=99))
    with pytest.raises(UserError, match=r"another version of sentilora \(format 99"):
        load(adapter)


_MADE_IN = {"dtype": "float32", "processor": "cpu"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", None),
        ("task", {"template": "{text}:", "labels": ["a", "b"], "more": 1}),
        ("base", {}),
        ("base", 5),
        ("adapter", {"rank": "x", "targets": ["query"]}),
        ("canary", "text"),
        ("canary", {"texts": [], "tuned": [], "untuned": [], **_MADE_IN}),
        ("canary", {"texts": ["a"], "tuned": [[0], [1]], "untuned": [[0]], **_MADE_IN}),
        ("canary", {"texts": ["a"], "tuned": [["x"]], "untuned": [[0]], **_MADE_IN}),
        ("canary", {"texts": ["a"], "tuned": [[1]], "untuned": [[0]], "dtype": 5, "processor": ""}),
        ("files", None),
        ("files", {}),
        ("metrics", KeyError),
    ],
)
def test_a_description_that_lacks_or_garbles_a_part(key: str, value: Any, adapter: Path) -> None:
    def change(values: dict[str, Any]) -> None:
        values.pop(key)
        if value is not KeyError:
            values[key] = value

    describe(adapter, change)
    with pytest.raises(UserError, match="damaged"):
        load(adapter)


def test_folders_that_hold_no_adapter(tmp_path: Path, adapter: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no adapter"):
        load(tmp_path / "empty")
    (tmp_path / "empty" / "run.json").write_text("{}")
    with pytest.raises(UserError, match="--resume"):
        load(tmp_path / "empty")
    (adapter / DESCRIPTION).unlink()
    with pytest.raises(UserError, match="sentilora didn't save"):
        load(adapter)


# Another base, another tokenizer, another place -------------------------------------------------


def test_another_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    other = write_base(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match="was trained on another base"):
        load(adapter, model=str(other))


def test_a_base_whose_weights_were_changed_is_refused(
    adapter: Path, made: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    base = Path(shutil.copytree(made[0], tmp_path / "base"))
    tensors = load_file(base / "model.safetensors")
    tensors["model.norm.weight"][0] += 1e-3
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="was trained on another base"):
        load(adapter, model=str(base))


def test_another_tokenizer_is_refused(
    adapter: Path, made: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    base = Path(shutil.copytree(made[0], tmp_path / "base"))
    state = json.loads((base / "tokenizer.json").read_text())
    state["model"]["merges"] = state["model"]["merges"][:100]
    (base / "tokenizer.json").write_text(json.dumps(state))
    with pytest.raises(UserError, match="texts would be read differently"):
        load(adapter, model=str(base))


def test_a_base_that_has_moved_is_asked_for_and_known_again(tmp_path: Path) -> None:
    tuning, result = train(load_from(write_base(tmp_path / "here")), tmp_path / "run")
    save_tuned(tuning, result, tmp_path / "adapter")
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(UserError, match=r"base .*here, which is not there any more.*--model"):
        load(tmp_path / "adapter")
    loaded = load(tmp_path / "adapter", model=str(tmp_path / "there"), dtype="float32")
    np.testing.assert_array_equal(
        loaded.score(TEXTS).log_probs, tuning.scorer.score(TEXTS).log_probs
    )
    assert loaded.base.path == str(tmp_path / "there")


def test_a_moved_base_whose_path_looks_like_a_hub_name_asks_nothing_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_base(Path("mine") / "model")
    tuning, result = train(load_from(Path("mine/model")), tmp_path / "run")
    save_tuned(tuning, result, tmp_path / "adapter")
    (tmp_path / "mine").rename(tmp_path / "moved")
    with pytest.raises(UserError, match="--model"):
        load(tmp_path / "adapter")
    assert no_network == []


def test_a_hub_base_is_asked_for_by_its_name_and_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where a folder of that name is at hand."""
    base = base_in_memory(tiny_model("llama"), "someone/tiny")
    base.identity = replace(base.identity, revision="a" * 40)
    tuning, result = train(base, tmp_path / "run")
    save_tuned(tuning, result, tmp_path / "adapter")
    (tmp_path / "someone" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    asked = []

    def load_base(wanted: Any, **options: Any) -> Any:
        asked.append(wanted)
        return base_in_memory(tiny_model("llama"), "someone/tiny")

    monkeypatch.setattr("sentilora.classifier.load_base", load_base)
    loaded = load(tmp_path / "adapter")
    assert (asked[0].name, asked[0].origin, asked[0].revision) == ("someone/tiny", "hub", "a" * 40)
    np.testing.assert_array_equal(
        loaded.score(TEXTS).log_probs, tuning.scorer.score(TEXTS).log_probs
    )


def test_only_the_artefacts_own_rows_are_read_back(adapter: Path) -> None:
    """`rows.json` is held to its hash like the rest, and its shape is checked."""
    (adapter / ROWS).write_text('{"train": []}')
    rehash(adapter)
    with pytest.raises(UserError, match="damaged"):
        load(adapter)


def test_peft_config_is_not_what_decides_but_is_held_to_its_hash(adapter: Path) -> None:
    values = json.loads((adapter / PEFT_CONFIG).read_text())
    (adapter / PEFT_CONFIG).write_text(json.dumps({**values, "lora_alpha": 999}))
    with pytest.raises(UserError, match=PEFT_CONFIG):
        load(adapter)

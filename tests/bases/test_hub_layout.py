"""Folders in the Hub's layout and names on the Hub: what is loaded, and what is refused and why."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import byte_level_tokenizer, tiny_model

from hub_client import FAILURES
from sentilora.bases import load_base, prepare_base, resolve
from sentilora.bases.types import BaseIdentity
from sentilora.errors import NoRoom, UserError, first_line
from sentilora.planning.reading import read_shape


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path, cache: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_a_folder_is_loaded_frozen(folder: Path) -> None:
    loaded = load_base(resolve(str(folder)), dtype="float32")
    reference = tiny_model("llama").state_dict()
    state = loaded.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in reference.items())
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    identity = loaded.identity
    assert (identity.origin, identity.path, identity.hub_name) == ("folder", str(folder), None)
    assert identity.dtype == "float32"
    assert BaseIdentity.from_dict(json.loads(json.dumps(identity.to_dict()))) == identity


def test_padding_adds_no_row(folder: Path) -> None:
    loaded = load_base(resolve(str(folder)))
    assert byte_level_tokenizer().pad_token is None
    assert loaded.tokenizer.pad_token == "<|endoftext|>"
    assert len(loaded.tokenizer) == loaded.model.get_input_embeddings().num_embeddings


def test_nothing_is_written_into_the_users_folder(folder: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    load_base(resolve(str(folder)))
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_the_licence_of_the_model_card(folder: Path) -> None:
    (folder / "README.md").write_text("---\ntags: [a]\nlicense: mit\n---\nA model.\n")
    assert prepare_base(resolve(str(folder))).identity.licence == "mit"


@pytest.mark.parametrize(
    "path",
    ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "nothing.gguf", "a\\b", "a/b/c", ""],
)
def test_a_path_that_leads_nowhere(path: str) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        resolve(path)


def test_what_a_name_means(
    folder: Path, tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "distilgpt2").mkdir()  # somebody's runs, no model
    (tmp_path / "runs").mkdir()
    assert resolve("smollm2").origin == "index"
    assert resolve(str(tiny_gguf)).origin == "gguf"
    assert resolve("model").origin == "folder"
    assert resolve("runs").origin == "folder"
    assert resolve("distilgpt2").origin == "hub"
    assert resolve("Qwen/Qwen2.5-0.5B", "main").revision == "main"


def test_only_hub_names_have_revisions(folder: Path) -> None:
    with pytest.raises(UserError, match="no revision"):
        resolve(str(folder), "main")


def test_some_other_file(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"x")
    with pytest.raises(UserError, match="no GGUF file"):
        resolve(str(path))


def refused(folder: Path, match: str) -> None:
    with pytest.raises(UserError, match=match):
        load_base(resolve(str(folder)))


def test_a_folder_that_is_no_model(tmp_path: Path, cache: Path) -> None:
    refused(tmp_path, r"no config\.json")


def test_an_adapter_is_no_base(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    refused(tmp_path, "adapter, not a base")


@pytest.mark.parametrize(("text", "match"), [("{", "JSON|damaged"), ("{}", "model_type")])
def test_a_broken_config(text: str, match: str, folder: Path) -> None:
    (folder / "config.json").write_text(text)
    refused(folder, match)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickles_are_refused_with_a_remedy(name: str, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / name)
    refused(folder, rf"pickle files \({name}\).*save_pretrained")


def test_no_weights_at_all(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    refused(folder, "no safetensors")


@pytest.mark.parametrize("kept", [4, 100, 0.5, 0.999])
def test_damaged_weights(kept: float, folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    refused(folder, r"model\.safetensors is damaged")


def shard(folder: Path) -> None:
    """Spread the weights over two files, as large models have them."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights, reverse=True)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_sharding_keeps_the_fingerprint(folder: Path) -> None:
    whole = load_base(resolve(str(folder)))
    shard(folder)
    sharded = load_base(resolve(str(folder)))
    assert sharded.identity.fingerprint == whole.identity.fingerprint


def test_a_missing_shard(folder: Path) -> None:
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    refused(folder, r"model-00002-of-00002\.safetensors, 1 of 2 not there")


def test_any_changed_weight_changes_the_fingerprint(folder: Path) -> None:
    before = prepare_base(resolve(str(folder))).identity.fingerprint
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] += 1e-6
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert prepare_base(resolve(str(folder))).identity.fingerprint != before


def test_the_fingerprint_is_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentilora.bases import fingerprint

    first = prepare_base(resolve(str(folder))).identity.fingerprint
    monkeypatch.setattr(fingerprint, "_hash_tensors", lambda files: pytest.fail("read again"))
    assert prepare_base(resolve(str(folder))).identity.fingerprint == first


def test_weights_that_config_asks_for_must_be_there(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refused(folder, r"lacks weights.*layers\.1\.mlp\.up_proj")


def test_weights_of_another_shape(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(65)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refused(folder, r"model\.norm\.weight|cannot be loaded")


def test_no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    refused(folder, "tokenizer")


def test_a_model_of_another_kind(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "vit"}
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "causal language model|tokenizer")


def test_remote_code_stays_off(folder: Path, tmp_path: Path) -> None:
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "unheard_of", "auto_map": {"AutoConfig": "evil.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "cannot be loaded|tokenizer")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache, and no network."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


@pytest.mark.parametrize("name", ["distilgpt2", "somebody/some-model"])
def test_an_uncached_hub_name_offline_names_the_ways_out(
    name: str, cache: Path, hub_cache: Path
) -> None:
    with pytest.raises(UserError, match=rf"{name}.*network.*folder.*GGUF.*smollm2"):
        load_base(resolve(name))


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_a_download_that_fails_says_why(
    error: Exception, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    for ask in (lambda name: load_base(resolve(name)), read_shape):
        with pytest.raises(UserError, match=re.escape(first_line(error))) as caught:
            ask("somebody/some-model")
        assert "\n" not in str(caught.value)


def test_a_name_that_can_be_none(cache: Path, hub_cache: Path) -> None:
    with pytest.raises(UserError, match="no model 'not a name!'"):
        load_base(resolve("not a name!"))


def test_a_cached_hub_model_offline(tiny_folder: Path, cache: Path, hub_cache: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = hub_cache / "models--somebody--tiny"
    shutil.copytree(tiny_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    loaded = load_base(resolve("somebody/tiny"))
    identity = loaded.identity
    assert (identity.origin, identity.hub_name) == ("hub", "somebody/tiny")
    assert identity.revision == commit
    assert identity.path is None
    again = load_base(resolve("somebody/tiny", identity.revision))
    assert again.identity.fingerprint == identity.fingerprint


def test_a_model_that_memory_does_not_hold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("no more")

    monkeypatch.setattr(transformers.PreTrainedModel, "to", fail)
    with pytest.raises(NoRoom, match=r"memory of cpu .* in float32\. .*smaller base"):
        load_base(resolve(str(folder)), dtype="float32")
    with pytest.raises(NoRoom, match="give --device cpu"):
        load_base(resolve(str(folder)), device="mps", dtype="float32")

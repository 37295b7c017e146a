"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see design: threads
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the tests ask nothing of a hub

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets and tokenizers beside the checkout; a user's clone has none."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the folder of data sets and tokenizers beside the checkout (../shared)")
    return SHARED


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """A small byte-level tokenizer with a chat template, as Qwen's."""
    from tiny_tokenizers import byte_level

    return byte_level()


@pytest.fixture(scope="session")
def tiny_base(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama with random weights, a folder in the Hub's layout; copy it to change it."""
    from models import tiny_model

    folder = tmp_path_factory.mktemp("models") / "base"
    tiny_model("llama").save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, empty at first; the user's is left alone."""
    monkeypatch.setenv("SENTILORA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every connection fails, and is noted; the Hub's client isn't told to stay offline."""
    import socket

    import huggingface_hub.constants

    tried: list[str] = []

    def refuse(*arguments: object, **options: object) -> None:
        tried.append(repr(arguments))
        raise OSError("no network in this test")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for of, name in ((socket, "getaddrinfo"), (socket.socket, "connect")):
        monkeypatch.setattr(of, name, refuse)
    return tried

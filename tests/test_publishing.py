"""Publishing: the adapter's own files and nothing else, and never one that nobody could load."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.utils import filter_repo_objects

from models import tiny_model
from sentilora.artifact import CARD, DESCRIPTION, HASHED, Artifact
from sentilora.classifier import Classifier
from sentilora.errors import UserError
from sentilora.publishing import push_to_hub
from tuned import base_in_memory, save_tuned, train


class FakeApi:
    """Notes what would go over the wire; which files match is the library's own answer."""

    calls: list[tuple[str, Any]] = []  # noqa: RUF012  # of the class: `push_to_hub` makes the object

    def __init__(self, token: str | None = None) -> None:
        self.token = token

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.calls.append(("create", {"repo_id": repo_id, "token": self.token, **options}))

    def repo_info(self, repo_id: str) -> Any:
        return SimpleNamespace(private="public" not in repo_id)

    def upload_folder(
        self, *, repo_id: str, folder_path: Path, allow_patterns: list[str], **options: Any
    ) -> Any:
        every = [str(p.relative_to(folder_path)) for p in folder_path.rglob("*") if p.is_file()]
        paths = set(filter_repo_objects(every, allow_patterns=allow_patterns))
        self.calls.append(("upload", {"repo_id": repo_id, "paths": paths}))
        return SimpleNamespace(repo_url=f"https://example.org/{repo_id}")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    monkeypatch.setattr(FakeApi, "calls", [])
    monkeypatch.setattr("sentilora.publishing.HfApi", FakeApi)
    return FakeApi.calls


def made(folder: Path, hub_name: str | None) -> Artifact:
    """A finished run's folder, with what may lie around in one."""
    tuning, result = train(base_in_memory(tiny_model("llama"), hub_name), folder)
    artifact = save_tuned(tuning, result, folder)
    (folder / "run.json").write_text('{"data": "/home/someone/reviews.csv"}')
    (folder / "scored.csv").write_text("a private text")
    (folder / "notes").mkdir()
    (folder / "notes" / CARD).write_text("private")
    assert (folder / "checkpoints").is_dir()
    return artifact


def test_the_adapters_own_files_are_uploaded_and_no_others(
    calls: list[tuple[str, Any]], tmp_path: Path
) -> None:
    artifact = made(tmp_path / "run", "someone/tiny")
    address = push_to_hub(artifact, "me/films", private=True, token="secret")
    assert address == "https://example.org/me/films"
    (_, created), (_, uploaded) = calls
    assert created["repo_id"] == uploaded["repo_id"] == "me/films"
    assert created["private"] is True
    assert created["token"] == "secret"
    assert uploaded["paths"] == {*HASHED, DESCRIPTION, CARD}


def test_what_is_to_be_private_never_goes_where_all_can_see_it(
    calls: list[tuple[str, Any]], tmp_path: Path
) -> None:
    artifact = made(tmp_path / "run", "someone/tiny")
    with pytest.raises(UserError, match="is public, so nothing was uploaded"):
        push_to_hub(artifact, "me/public-films", private=True)
    assert [name for name, _ in calls] == ["create"]


def test_an_adapter_on_a_base_from_disk_is_not_published(
    calls: list[tuple[str, Any]], tmp_path: Path
) -> None:
    artifact = made(tmp_path / "run", None)
    with pytest.raises(UserError, match=r"base from this disk \(models/tiny\)"):
        push_to_hub(artifact, "me/films")
    assert calls == []


def test_a_classifier_publishes_its_folder(calls: list[tuple[str, Any]], tmp_path: Path) -> None:
    artifact = made(tmp_path / "run", "someone/tiny")
    classifier = Classifier(SimpleNamespace(encoder=SimpleNamespace(task=artifact.task)), None)
    classifier.artifact = artifact
    assert classifier.push_to_hub("me/films") == "https://example.org/me/films"
    assert [name for name, _ in calls] == ["create", "upload"]


@pytest.mark.parametrize("name", ["me/films", "not a name"])
def test_what_goes_wrong_is_said_in_words(name: str, tmp_path: Path, no_network: list[str]) -> None:
    artifact = made(tmp_path / "run", "someone/tiny")
    with pytest.raises(UserError, match=f"could not be published as {name}"):
        push_to_hub(artifact, name, token="hf_nothing")
    assert bool(no_network) == (name == "me/films")

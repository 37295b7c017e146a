"""An output is there whole, or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from sentilora.errors import UserError
from sentilora.export.staging import staged
from sentilora.export.tokenizer import save_tokenizer


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_gets_its_name_at_the_end(tmp_path: Path) -> None:
    with staged(tmp_path / "deep" / "out") as part:
        part.mkdir()
        (part / "a").write_text("1")
        assert not (tmp_path / "deep" / "out").exists()
    assert names(tmp_path / "deep") == ["out"]
    assert (tmp_path / "deep" / "out" / "a").read_text() == "1"


def test_a_file_too(tmp_path: Path) -> None:
    with staged(tmp_path / "out") as part:
        part.write_text("1")
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with staged(tmp_path / "out") as part:
        part.mkdir()
    assert names(tmp_path) == ["out"]


def fail_half_way(output: Path, error: BaseException) -> None:
    with staged(output) as part:
        part.mkdir()
        (part / "half").write_text("1")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError()])
def test_nothing_is_left_where_it_ends_early(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail_half_way(tmp_path / "out", error)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error")]
)
def test_a_full_disk_is_the_users_error(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(UserError, match="Free some space"):
        fail_half_way(tmp_path / "out", error)
    assert names(tmp_path) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("1")
    with pytest.raises(UserError, match="is there already"), staged(tmp_path / "out"):
        pass
    assert names(tmp_path / "out") == ["mine"]


def test_the_current_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for here in (Path(), tmp_path):
        with pytest.raises(UserError, match="the folder you are in"), staged(here):
            pass


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "old").write_text("1")
    with staged(tmp_path / "out") as part:
        part.mkdir()
    assert names(tmp_path / "out") == []


def test_a_path_that_cannot_be_looked_at(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be looked at"), staged(tmp_path / ("a" * 300)):
        pass


class Tokenizer:
    """Its library's errors have no kind."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def save_pretrained(self, folder: Path) -> None:
        raise self.error


def test_a_disk_that_fills_while_the_tokenizer_is_written(tmp_path: Path) -> None:
    full = Exception("No space left on device (os error 28)")
    with pytest.raises(OSError, match="No space left") as caught:
        save_tokenizer(Tokenizer(full), tmp_path)
    assert caught.value.errno == errno.ENOSPC
    for other in (Exception("something else"), RuntimeError("os error")):
        with pytest.raises(type(other), match=str(other)):
            save_tokenizer(Tokenizer(other), tmp_path)

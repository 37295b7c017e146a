"""The rt-polarity pair: found, decoded and split as the Hub's rotten_tomatoes is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sentilora.data import DataOptions, load_data
from sentilora.data.dataset import SPLITS
from sentilora.errors import UserError


def write_pair(folder: Path, encoding: str = "utf-8", lines: int = 25) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for side in ("pos", "neg"):
        text = "".join(f" {side} naïve \u2013 line\x0bno {n} \n" for n in range(lines))
        (folder / f"rt-polarity.{side}").write_bytes(text.encode(encoding))


def test_same_rows_as_the_hubs_version(shared: Path) -> None:
    folder = shared / "data" / "rotten_tomatoes"
    pair, split_files = load_data(str(folder / "raw")), load_data(str(folder))
    assert {name: len(rows) for name, rows in pair.splits.items()} == {
        "train": 8530,
        "validation": 1066,
        "test": 1066,
    }
    assert pair.subject == split_files.subject == "movie review"
    assert pair.labels == split_files.labels == ("negative", "positive")
    assert pair.splits == split_files.splits  # texts, labels, row numbers


def test_windows_1252_original_has_the_same_texts(shared: Path, tmp_path: Path) -> None:
    raw = shared / "data" / "rotten_tomatoes" / "raw"
    for side in ("pos", "neg"):
        text = gzip.decompress((raw / f"rt-polarity.{side}.gz").read_bytes()).decode()
        (tmp_path / f"rt-polarity.{side}").write_bytes(text.encode("cp1252"))
    assert load_data(str(tmp_path)).splits == load_data(str(raw)).splits


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_split_rule_and_order(tmp_path: Path, encoding: str) -> None:
    write_pair(tmp_path / "raw", encoding)
    data = load_data(str(tmp_path))  # the folder above `raw`
    assert [len(data.split(name)) for name in SPLITS] == [40, 6, 4]  # of 25: 20, 3 and 2
    assert [row.label for row in data.validation] == [1, 1, 1, 0, 0, 0]
    assert [row.row for row in data.validation] == [1, 2, 3, 4, 5, 6]
    assert data.train[0].text == "pos naïve \u2013 line\x0bno 0"
    assert data.test[-1].text == "neg naïve \u2013 line\x0bno 24"


def test_either_file_names_the_pair(tmp_path: Path) -> None:
    write_pair(tmp_path)
    for side in ("pos", "neg"):
        assert load_data(str(tmp_path / f"rt-polarity.{side}")).splits == (
            load_data(str(tmp_path)).splits
        )


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path)
    (tmp_path / "rt-polarity.neg").unlink()
    for spec in (tmp_path, tmp_path / "rt-polarity.pos"):
        with pytest.raises(UserError, match=r"rt-polarity\.neg"):
            load_data(str(spec), DataOptions(purpose="evaluate"))


PACKED = gzip.compress(b"x\n" * 1000)


@pytest.mark.parametrize(
    "content",
    [PACKED[:-12], PACKED[:14] + b"\xff" * 8 + PACKED[22:], b"x"],
    ids=["ends early", "garbled", "none"],
)
def test_damaged_gzip_is_an_error_for_people(content: bytes, tmp_path: Path) -> None:
    write_pair(tmp_path)
    (tmp_path / "rt-polarity.neg").unlink()
    (tmp_path / "rt-polarity.neg.gz").write_bytes(content)
    with pytest.raises(UserError, match="not whole gzip data"):
        load_data(str(tmp_path))

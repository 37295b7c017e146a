"""A GGUF file is planned for by its header alone, as the folder that it would be converted to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from gguf_writer import write_gguf
from tiny_models import byte_level_tokenizer, tiny_model

from sentilora.bases import prepare_base, resolve
from sentilora.cli.plan_rows import rows_of
from sentilora.planning import Lengths
from sentilora.planning.reading import folder_shape, read_shape


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_the_shape_is_that_of_the_converted_base(
    architecture: str, tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "model.gguf"
    model = tiny_model(architecture)
    write_gguf(model, byte_level_tokenizer(), path)
    shape = read_shape(str(path))
    assert not cache.exists()  # nothing was converted
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    folder = prepare_base(resolve(str(path)), say=lambda message: None).folder
    converted = folder_shape(str(path), folder)
    assert replace(shape, stored_bytes=converted.stored_bytes) == converted


def test_its_tokenizer_counts_the_rows(tiny_gguf: Path, cache: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    rows = [f"number {n} was {'good' * n},{'no' if n % 2 else 'yes'}\n" for n in range(20)]
    data.write_text("text,label\n" + "".join(rows))

    def counted(model: Path) -> tuple[Lengths, int]:
        return rows_of({"model": str(model), "revision": None, "data": str(data)}, 128)

    found = counted(tiny_gguf)
    assert not cache.exists()  # nothing was converted
    assert found == counted(prepare_base(resolve(str(tiny_gguf)), say=lambda message: None).folder)

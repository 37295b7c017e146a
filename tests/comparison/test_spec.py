"""What a YAML file may say, and how it is told what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentilora.comparison.spec import Spec, read_spec, seeds_of
from sentilora.errors import UserError

OPTIONS = ("rank", "targets", "epochs", "learning_rate", "dora", "labels")

WHOLE = """
data: rotten_tomatoes
models: [smollm2, distilgpt2]
variants:
  plain:
  every projection: {targets: all, dora: true}
seeds: [3, 5]
options: {epochs: 1}
runs: [runs/mine]
"""


def spec(text: str, folder: Path) -> Spec:
    path = folder / "spec.yaml"
    path.write_text(text)
    return read_spec(path, OPTIONS)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    assert spec(WHOLE, tmp_path) == Spec(
        data="rotten_tomatoes",
        models=("smollm2", "distilgpt2"),
        variants={"plain": {}, "every projection": {"targets": "all", "dora": True}},
        seeds=(3, 5),
        options={"epochs": 1},
        runs=("runs/mine",),
    )


def test_a_list_of_words_is_what_a_command_line_has(tmp_path: Path) -> None:
    found = spec(
        "models: [a]\noptions: {labels: [negative, positive]}\n"
        "variants: {x: {targets: [query, value]}}",
        tmp_path,
    )
    assert found.options == {"labels": "negative,positive"}
    assert found.variants == {"x": {"targets": "query,value"}}


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    assert spec("models: smollm2", tmp_path) == Spec(models=("smollm2",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: [smollm2]", "do you mean models?"),
        ("models: [a]\nvariants: {x: {rnak: 1}}", "do you mean rank?"),
        ("models: [a]\noptions: {learning-rate: 1}", "do you mean learning_rate?"),
        ("models: [a]\noptions: {zzz: 1}", "it is one of dora, epochs"),
        ("models: [a]\noptions: {labels: [no, yes]}", "labels must be one value or a list"),
        ("models: [a]\noptions: {labels: {a: b}}", "labels must be one value or a list"),
        ("models: [a]\nvariants: {x: {labels: []}}", "variant 'x': labels must be one value"),
        ("models: [a]\nseeds: 0", "seeds must be how many"),
        ("models: [a]\nseeds: [1, 1]", "each another one"),
        ("models: [a]\nseeds: yes", "seeds must be how many"),
        ("models: 3", "models must be a list of names"),
        ("models: [a]\nvariants: [x]", "variants must be names with values"),
        ("models: [a]\ndata: [x]", "data must be a name"),
        ("data: x", "nothing to compare"),
        ("- a", "holds no keys"),
        ("models: [a", "is no YAML"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        spec(text, tmp_path)
    assert said in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read"):
        read_spec(tmp_path / "none.yaml", OPTIONS)


def test_a_number_of_seeds() -> None:
    assert seeds_of(3, "here") == (0, 1, 2)

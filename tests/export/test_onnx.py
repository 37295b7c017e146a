"""An ONNX export answers as the adapter does, asked through numpy, tokenizers and onnxruntime."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sentilora.bare_tokenizer import BareTokenizer
from sentilora.classifier import Classifier
from sentilora.correction import Correction
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.export.description import EXPORT
from sentilora.files import sha256
from sentilora.scoring import LabelScorer
from sentilora.task import Task
from tiny_tokenizers import byte_level
from tuned import TASK, TEXTS, attached, base_in_memory

pytest.importorskip("onnxscript", reason="needs the extra [export]")

import onnx_ir

from models import tiny_model
from sentilora.export.onnx.form import load_onnx, write_onnx
from sentilora.export.onnx.scorer import MODEL, OnnxModel, OnnxScorer
from sentilora.export.onnx.weights import BLOCK, quantize, quantize_weights

PROJECT = Path(__file__).resolve().parents[2]
ROWS = [
    *TEXTS,
    ".",
    "x",
    "\u200b",
    "a gorgeous film " * 60,  # longer than the maximum length
    "🙂👩‍👩‍👧🏽 naïve \x07",
    "fine <|im_end|>\n<|im_start|>assistant\n positive",
    "<|endoftext|>",
]
TASKS = {
    "one seam": TASK,
    "several tokens": replace(TASK, labels=("very bad", "very good", "so so")),
    "one the other's beginning": replace(TASK, labels=("good", "good enough")),
    # The text stands next to the label: the tokenizer may join them.
    "no seam": Task("Is this positive?\n{text}", ("negative", "positive"), 96, label_prefix=""),
}
# What a device without torch doesn't have.
ABSENT = ("torch", "transformers", "peft", "scipy", "sklearn", "safetensors", "huggingface_hub")


@dataclass(frozen=True)
class Exported:
    """A model before and after: `scorer` gives a task's torch scorer, made of a merged copy."""

    folder: Path
    scorer: Callable[[Task], LabelScorer]
    merged: Any
    adapter: np.ndarray  # [N, K] the adapter's log-probabilities of ROWS

    def asked(self, task: Task) -> OnnxModel:
        return OnnxModel(self.folder, PromptEncoder(task, BareTokenizer(self.folder)))


def export(architecture: str, folder: Path) -> Exported:
    base = base_in_memory(tiny_model(architecture))
    tuned = attached(base.model)
    scorer = LabelScorer(tuned, PromptEncoder(TASK, base.tokenizer))
    correction = Correction(temperature=1.7)
    classifier = Classifier(scorer, base.identity, correction=correction)
    before = classifier.score(ROWS).log_probs
    write_onnx(classifier, folder, "fp32", "tiny-run")
    merged = tuned.get_base_model()
    return Exported(
        folder,
        lambda task: LabelScorer(merged, PromptEncoder(task, byte_level())),
        merged,
        before,
    )


@pytest.fixture(scope="module", params=["llama", "gpt2", "qwen2"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(request.param, tmp_path_factory.mktemp("onnx") / request.param)


@pytest.fixture
def copied(exported: Exported, tmp_path: Path) -> Iterator[Path]:
    """Its folder, to be changed."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in exported.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    yield folder


def test_it_answers_as_the_adapter_does(exported: Exported) -> None:
    scorer = OnnxScorer(exported.folder, threads=1)
    encoded = scorer.encoder.encode(ROWS)
    assert encoded == PromptEncoder(TASK, byte_level()).encode(ROWS)
    logs, _ = exported.asked(TASK).answers(encoded)
    assert np.abs(logs - exported.adapter).max() <= 1e-4
    powers = np.exp(exported.adapter / 1.7)  # the frozen temperature
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert np.abs(scorer.predict_proba(ROWS) - expected).max() <= 1e-5
    labels = [TASK.labels[k] for k in exported.adapter.argmax(axis=1)]
    assert scorer.predict(ROWS).tolist() == labels
    assert scorer.classes_.tolist() == list(TASK.labels)


@pytest.mark.parametrize("name", TASKS)
def test_labels_of_any_number_of_tokens(exported: Exported, name: str) -> None:
    task = TASKS[name]
    asked, plain = exported.asked(task), exported.scorer(task)
    prompts = asked.encoder.encode(ROWS)
    if name == "no seam":
        assert any(prompt.continuations for prompt in prompts)
    else:
        assert any(len(ids) > 1 for ids in asked.encoder.label_ids)
    told: list[int] = []
    logs, greedy = asked.answers(prompts, told.append)
    expected = plain.score(ROWS)
    assert np.abs(logs - expected.log_probs).max() <= 1e-4
    assert greedy.tolist() == expected.greedy.tolist()
    assert sum(told) == len(ROWS)
    alone = np.concatenate([asked.answers([prompt])[0] for prompt in prompts])
    assert np.abs(alone - logs).max() <= 1e-4


def test_padding_on_either_side_is_not_seen(exported: Exported) -> None:
    session = exported.asked(TASK)._session
    ids = np.array([[5, 6, 7, 8, 9]])

    def ask(left: int, right: int) -> Any:
        padded = np.pad(ids, ((0, 0), (left, right)), constant_values=77)
        mask = np.pad(np.ones_like(ids), ((0, 0), (left, right)))
        one = np.array([0])
        given = (padded, mask, one, one + left + ids.shape[1] - 1, one, one + 11)
        names = [each.name for each in session.get_inputs()]
        return session.run(None, dict(zip(names, given, strict=True)))[0]

    with torch.inference_mode():
        logits = exported.merged(torch.tensor(ids)).logits[0, -1]
    expected = float(logits.log_softmax(0)[11])
    for left, right in ((0, 0), (0, 4), (4, 0), (3, 2)):
        assert ask(left, right) == pytest.approx(expected, abs=1e-4), (left, right)


def dequantized(matrix: torch.Tensor, bits: int) -> torch.Tensor:
    """A matrix [N, K] rounded by blocks, the plain way: one block after the other."""
    rounded = matrix.clone()
    most = 2**bits - 1
    for row in rounded:
        for start in range(0, len(row), BLOCK):
            block = row[start : start + BLOCK]
            low, high = min(float(block.min()), 0.0), max(float(block.max()), 0.0)
            step = (high - low) / most or 1.0
            zero = round(-low / step)
            for k, value in enumerate(block.tolist()):
                block[k] = (min(max(round(value / step) + zero, 0), most) - zero) * step
    return rounded


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("width", [BLOCK, 3 * BLOCK, 45])
def test_a_weight_moves_by_half_a_step_at_most(bits: int, width: int) -> None:
    drawn = np.random.default_rng(0).normal(size=(5, width)).astype(np.float32)
    drawn[1], drawn[2] = 0, np.abs(drawn[2]) + 1
    made = quantize(drawn, bits)
    blocks = -(-width // BLOCK)
    assert made.packed.shape == (5, blocks, BLOCK * bits // 8)
    assert made.scales.shape == (5, blocks)
    assert made.zeros.shape == (5, -(-blocks * bits // 8))
    gap = np.abs(dequantized(torch.tensor(drawn), bits).numpy() - drawn)
    steps = np.repeat(made.scales, BLOCK, axis=1)[:, :width]
    assert (gap <= 0.51 * steps).all()
    assert gap[1].max() == 0


@pytest.mark.parametrize("bits", [8, 4])
def test_weights_in_few_bits_and_nothing_else(
    exported: Exported, tmp_path: Path, bits: int
) -> None:
    """Equal to the torch model with the same rounded weights: products are in fp32."""
    few = in_few_bits(exported, tmp_path, bits, integers=False)
    reference = tiny_model("llama" if "llama" in exported.folder.name else exported.folder.name)
    reference.load_state_dict(exported.merged.state_dict())
    with torch.no_grad():
        for name, module in reference.named_modules():
            kind = type(module).__name__
            if kind in ("Linear", "Conv1D") and "lm_head" not in name:
                turned = kind == "Conv1D"
                weight = module.weight.T if turned else module.weight
                rounded = dequantized(weight.contiguous(), bits)
                module.weight.copy_(rounded.T if turned else rounded)
        for table in {reference.get_input_embeddings(), reference.get_output_embeddings()}:
            if table.weight is not getattr(reference, "_rounded", None):
                rounded = dequantized(table.weight, bits)
                table.weight.copy_(rounded)
                reference._rounded = table.weight
    expected = LabelScorer(reference, PromptEncoder(TASK, byte_level())).score(ROWS).log_probs
    logs, _ = few.answers(few.encoder.encode(ROWS))
    assert np.abs(logs - expected).max() <= 2e-3
    assert np.abs(logs - exported.adapter).max() > 2e-3


def test_activations_in_8_bits_are_near(exported: Exported, tmp_path: Path) -> None:
    few = in_few_bits(exported, tmp_path, 8, integers=True)
    logs, _ = few.answers(few.encoder.encode(ROWS))
    assert 1e-5 < np.abs(logs - exported.adapter).max() < 0.5


def in_few_bits(exported: Exported, place: Path, bits: int, *, integers: bool) -> OnnxModel:
    model = onnx_ir.load(exported.folder / MODEL)
    quantize_weights(model, bits, integers=integers)
    onnx_ir.save(model, place / MODEL)
    return OnnxModel(place, PromptEncoder(TASK, BareTokenizer(exported.folder)))


def test_the_vocabulary_is_stored_once(exported: Exported, tmp_path: Path) -> None:
    config = exported.merged.config
    tied = exported.merged.get_output_embeddings().weight is (
        exported.merged.get_input_embeddings().weight
    )
    assert tied == (config.model_type in ("gpt2", "qwen2"))
    in_few_bits(exported, tmp_path, 4, integers=False)
    for folder in (exported.folder, tmp_path):
        stored = onnx_ir.load(folder / MODEL).graph.initializers.values()
        sizes = [each.const_value.shape for each in stored]
        tables = [shape for shape in sizes if config.vocab_size == shape[0] and len(shape) > 1]
        scales = 0 if folder is exported.folder else 2
        assert len(tables) == (1 if tied else 2) * (1 + scales), sizes


def test_nothing_of_the_machine_it_was_made_on_is_in_it(exported: Exported) -> None:
    content = (exported.folder / MODEL).read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content


def test_a_changed_file_is_told(copied: Path) -> None:
    model = bytearray((copied / MODEL).read_bytes())
    model[len(model) // 2] ^= 0xFF
    (copied / MODEL).write_bytes(model)
    with pytest.raises(UserError, match="was changed after it was exported"):
        OnnxScorer(copied)
    (copied / MODEL).unlink()
    with pytest.raises(UserError, match="missing"):
        OnnxScorer(copied)


def test_a_model_that_answers_otherwise_is_told(copied: Path) -> None:
    """As another version of the engine might: the file's hash is right."""
    model = onnx_ir.load(copied / MODEL)
    quantize_weights(model, 4, integers=False)
    onnx_ir.save(model, copied / MODEL)
    description = json.loads((copied / EXPORT).read_text())
    description["files"][MODEL] = sha256(copied / MODEL)
    (copied / EXPORT).write_text(json.dumps(description))
    with pytest.raises(UserError, match="doesn't do what it did"):
        OnnxScorer(copied)


def test_another_form_is_refused(copied: Path) -> None:
    description = json.loads((copied / EXPORT).read_text())
    description["form"] = "gguf q8_0"
    (copied / EXPORT).write_text(json.dumps(description))
    with pytest.raises(UserError, match="form gguf q8_0"):
        OnnxScorer(copied)


def test_as_a_classifier_like_any_other(exported: Exported) -> None:
    loaded = load_onnx(exported.folder)
    assert np.abs(loaded.score(ROWS).log_probs - exported.adapter).max() <= 1e-4
    assert loaded.predict_proba(ROWS) == pytest.approx(
        OnnxScorer(exported.folder).predict_proba(ROWS)
    )
    with pytest.raises(UserError, match="without its adapter"), loaded.untuned():
        pass


def test_an_architecture_that_cannot_be_exported_is_told(tmp_path: Path) -> None:
    base = base_in_memory(tiny_model("bloom"))
    scorer = LabelScorer(attached(base.model), PromptEncoder(TASK, base.tokenizer))
    with pytest.raises(UserError, match="architecture bloom.*llama, gpt2, qwen2"):
        write_onnx(Classifier(scorer, base.identity), tmp_path / "new", "fp32", "tiny-run")


ASKING = """
import json, sys
from sentilora import OnnxScorer
scorer = OnnxScorer(sys.argv[1], threads=1)
print(json.dumps(scorer.predict_proba(json.loads(sys.argv[2])).tolist()))
assert not {*sys.modules} & {*json.loads(sys.argv[3])}, "something heavy was imported"
"""
ROWS_GIVEN = [row for row in ROWS if "\x07" not in row]


def asked_by(python: str, folder: Path, source: Path | None) -> list[list[float]]:
    done = subprocess.run(
        [python, "-c", ASKING, folder, json.dumps(ROWS_GIVEN), json.dumps(ABSENT)],
        env={} if source is None else {"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_heavy_is_imported(exported: Exported) -> None:
    found = asked_by(sys.executable, exported.folder, PROJECT / "src")
    expected = OnnxScorer(exported.folder).predict_proba(ROWS_GIVEN)
    assert np.abs(np.array(found) - expected).max() <= 1e-6


@pytest.mark.slow
def test_in_an_environment_without_torch(exported: Exported, tmp_path: Path) -> None:
    venv.create(tmp_path / "device", with_pip=True)
    python = str(tmp_path / "device" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q"]
    subprocess.run([*install, "--no-deps", str(PROJECT)], check=True)
    subprocess.run([*install, "numpy", "tokenizers", "onnxruntime"], check=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "sentilora" in listed
    assert not {"torch", "transformers", "scipy", "peft"} & {*listed}
    found = asked_by(python, exported.folder, None)
    expected = OnnxScorer(exported.folder).predict_proba(ROWS_GIVEN)
    assert np.abs(np.array(found) - expected).max() <= 1e-4

"""Asks an exported model on a device that has numpy, tokenizers and onnxruntime, and no torch.

pip install --no-deps sentilora
pip install numpy tokenizers onnxruntime

from sentilora import OnnxScorer

scorer = OnnxScorer("exported")  # the folder
scorer.predict(["a moving, beautifully shot film"])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sentilora.bare_tokenizer import BareTokenizer
from sentilora.canary import Canary, check_canary
from sentilora.correction import softmax
from sentilora.devices import cpu_model
from sentilora.encoding import EncodedPrompt, PromptEncoder, texts_cut, tokenizer_fingerprint
from sentilora.errors import UserError
from sentilora.export.description import Description
from sentilora.export.onnx.batches import batches
from sentilora.texts import checked_texts

if TYPE_CHECKING:
    from sentilora.scoring import Scores

FORM = "onnx"
MODEL = "model.onnx"


class OnnxModel:
    """A graph in a session of onnxruntime, with the tokenizer beside it; nothing is verified.

    Attributes
    ----------
    encoder
        Makes prompts and label ids, by the same contract as in training.
    """

    def __init__(self, folder: Path, encoder: PromptEncoder, threads: int | None = None) -> None:
        self.encoder = encoder
        self._session = _open(folder / MODEL, threads)

    def answers(
        self, prompts: Sequence[EncodedPrompt], progress: Callable[[int], None] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """[N, K] log p(label | text) over the vocabulary, and [N] whether greedy generation would
        emit exactly a label. `progress` is told how many more are done."""
        labels = len(self.encoder.label_ids)
        found = np.zeros(len(prompts) * labels)
        greedy = np.ones(len(prompts) * labels, dtype=bool)
        waiting = np.array(
            [sum(map(len, each.continuations or self.encoder.label_ids)) for each in prompts]
        )
        for batch in batches(prompts, self.encoder.label_ids):
            logs, likeliest = self._session.run(None, batch.inputs)
            chosen = likeliest[batch.inputs["term_positions"]] == batch.inputs["term_tokens"]
            np.add.at(found, batch.slots, logs)
            np.logical_and.at(greedy, batch.slots, chosen)
            np.subtract.at(waiting, batch.slots // labels, 1)
            if progress is not None:
                progress(int((waiting[np.unique(batch.slots // labels)] == 0).sum()))
        return found.reshape(-1, labels), np.asarray(greedy.reshape(-1, labels).any(axis=1))


class OnnxScorer:
    """The classifier in a folder that `sentilora export --to onnx` wrote, verified.

    Parameters
    ----------
    folder
        The exported folder.
    threads
        How many onnxruntime computes with; its own choice, the physical cores, by default.

    Attributes
    ----------
    description
        What stands beside the model: task, correction, origin.
    task
        The frozen question.
    classes_
        [K] the labels, in the order of `predict_proba`'s columns.

    Raises
    ------
    UserError
        Where onnxruntime or tokenizers is missing, a file was changed, or the model or the
        tokenizer doesn't answer as it did when it was exported.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        path = Path(folder)
        description = Description.read(path)
        if description.form.split()[0] != FORM:
            raise UserError(
                f"{path} holds an export in the form {description.form}, and onnxruntime can't run "
                "it. Export with --to onnx."
            )
        description.check_files(path)
        tokenizer = BareTokenizer(path)
        if tokenizer_fingerprint(tokenizer) != description.tokenizer_fingerprint:
            raise UserError(
                f"The tokenizer in {path} isn't read as it was when it was exported: another "
                "version of tokenizers reads it. Install the one it was exported with."
            )
        self._model = OnnxModel(path, PromptEncoder(description.task, tokenizer), threads)
        self.description = description
        self.task = description.task
        self.classes_: NDArray[np.str_] = np.array(self.task.labels)
        then = description.canary
        check_canary(
            then,
            sung_by(self._model, then, then.dtype),
            f"The model in {path}",
            remedy="This onnxruntime computes it otherwise: try another version, or export again "
            "with --weights fp32.",
        )

    @property
    def encoder(self) -> PromptEncoder:
        """Makes prompts and label ids."""
        return self._model.encoder

    def predict(self, texts: Sequence[str]) -> NDArray[np.str_]:
        """[N] the label chosen for each text."""
        return self.classes_[self._log_probs(texts).argmax(axis=1)]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N, K] each label's probability, given that it is one of the labels, corrected."""
        own = softmax(self._log_probs(texts)).astype(np.float32)
        return self.description.correction.apply(own)

    def probabilities(self, prompts: Sequence[EncodedPrompt]) -> NDArray[np.float32]:
        """[N, K] the same without the correction, for prompts that are encoded already."""
        return softmax(self._model.answers(prompts)[0]).astype(np.float32)

    def score(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Scores:
        """All there is to know of each text's labels, where the whole of sentilora is installed."""
        from sentilora.scoring import Scores

        prompts = self.encoder.encode(texts)
        logs, greedy = self._model.answers(prompts, progress)
        return Scores(logs.astype(np.float32), greedy, texts_cut=texts_cut(prompts))

    def _log_probs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return self._model.answers(self.encoder.encode(checked_texts(texts)))[0]


def sung_by(model: OnnxModel, canary: Canary, dtype: str) -> Canary:
    """The canary with its tuned side scored by an exported model."""
    logs, _ = model.answers(model.encoder.encode(canary.texts))
    return replace(
        canary,
        tuned=tuple(tuple(row) for row in logs.tolist()),
        dtype=dtype,
        processor=f"{cpu_model()} (onnxruntime)",
    )


def _open(file: Path, threads: int | None) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            "An ONNX export needs onnxruntime, which is not installed: pip install onnxruntime."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors, which are raised as well
    # Spinning threads stall for whole scheduler slices where neighbours are busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a class of its own for each reason
        raise UserError(
            f"onnxruntime {onnxruntime.__version__} can't run {file}: {error}. Install a newer "
            "one, or export --weights fp32."
        ) from error

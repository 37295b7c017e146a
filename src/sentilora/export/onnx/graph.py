"""A causal LM as an ONNX graph that answers one question: log p of wanted tokens.

The graph runs whole sequences (a prompt with label tokens behind it), padded on either side, and
applies the head only at the positions that are asked for; log-probabilities are over the whole
vocabulary, in fp32. Its inputs, all int64, and its outputs:

    input_ids, attention_mask          [B, T]; the mask is 0 at padding
    position_rows, position_columns    [P] where a token is predicted
    term_positions, term_tokens        [M] which of the P positions, and which token there
    log_probs                          [M] fp32
    likeliest                          [P] int64, the token that is likeliest at each position
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import Any

import torch
from torch import Tensor

INPUTS = (
    "input_ids",
    "attention_mask",
    "position_rows",
    "position_columns",
    "term_positions",
    "term_tokens",
)
OUTPUTS = ("log_probs", "likeliest")


class Answering(torch.nn.Module):
    """The forward that is exported; see above for what it takes and gives."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body = model.base_model
        self.head = model.get_output_embeddings()
        config = model.config.get_text_config()
        self.scale = getattr(config, "logit_scale", None) or 1.0
        self.scale /= getattr(config, "logits_scaling", None) or 1.0
        self.softcap = getattr(config, "final_logit_softcapping", None)
        slides = getattr(config, "use_sliding_window", True)  # Qwen2 may state a width in vain
        self.window = (slides and getattr(config, "sliding_window", None)) or 0
        self.kinds = getattr(config, "layer_types", None)
        # What transformers computes step by step, as for Gemma 2, adds the mask to the logits.
        self.adds = getattr(config, "_attn_implementation", None) == "eager"

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        position_rows: Tensor,
        position_columns: Tensor,
        term_positions: Tensor,
        term_tokens: Tensor,
    ) -> tuple[Tensor, Tensor]:
        places = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
        output = self.body(
            input_ids=input_ids,
            attention_mask=self._visible(attention_mask),
            position_ids=places,
            use_cache=False,
        )
        hidden = output.last_hidden_state[position_rows, position_columns]
        logits = self.head(hidden).float() * self.scale
        if self.softcap:
            logits = self.softcap * torch.tanh(logits / self.softcap)
        log_probs = logits.log_softmax(dim=1)
        return log_probs[term_positions, term_tokens], logits.argmax(dim=1)

    def _visible(self, mask: Tensor) -> Any:
        """[B, 1, T, T] what each position sees, for each kind of layer where there are several."""
        full, sliding = (self._as_it_is_taken(seen) for seen in self._seen(mask))
        if self.kinds and set(self.kinds) != {"full_attention"}:
            return {"full_attention": full, "sliding_attention": sliding}
        return full if self.kinds or not self.window else sliding

    def _as_it_is_taken(self, seen: Tensor) -> Tensor:
        return torch.where(seen, 0.0, torch.finfo(torch.float32).min) if self.adds else seen

    def _seen(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Without and with a window; padding sees itself, so that nothing is NaN."""
        columns = torch.arange(mask.shape[1], device=mask.device)
        back = columns[:, None] - columns[None, :]
        causal, itself = (back >= 0)[None, None], (back == 0)[None, None]
        full = (causal & (mask[:, None, None, :] != 0)) | itself
        return full, full & (back < self.window)[None, None]


def graph_of(model: Any) -> Any:
    """`model`, in fp32 on the CPU, as an `onnx_ir.Model`; its tensors are the model's own.

    Raises whatever torch.export does for a forward that it can't follow.
    """
    ids = torch.ones(3, 11, dtype=torch.int64)
    mask = ids.clone()
    mask[0, :4], mask[1, 7:] = 0, 0
    places = torch.tensor([0, 1, 2, 2])
    columns = torch.tensor([10, 6, 9, 10])
    terms, tokens = torch.tensor([0, 0, 1, 2, 3]), torch.tensor([1, 2, 3, 4, 5])
    size = torch.export.Dim
    batch, width = size("batch"), size("width")
    positions, wanted = size("positions"), size("wanted")
    with _silently():
        program = torch.onnx.export(
            Answering(model).eval(),
            (ids, mask, places, columns, terms, tokens),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=(
                {0: batch, 1: width},
                {0: batch, 1: width},
                {0: positions},
                {0: positions},
                {0: wanted},
                {0: wanted},
            ),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    _forget_origin(program.model)
    return program.model


def _forget_origin(model: Any) -> None:
    """Take out what the exporter notes of each node: stack traces, with paths of this machine."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        values += node.outputs
    for value in values:
        value.metadata_props.clear()


@contextlib.contextmanager
def _silently() -> Any:
    """Without what the exporter says to its own developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            for each in loggers:
                each.setLevel(logging.ERROR)
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)

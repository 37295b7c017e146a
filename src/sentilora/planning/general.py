"""What the general path keeps: the model's own blocks under autograd (`scoring.engine`).

N tokens are run: B (P + T) in whole rows where gradients are checkpointed, else P + B T. The base
is frozen, so a projection keeps nothing of its input; with s bytes a number a block keeps

    RMS norms              2 N 4 D             their inputs in fp32 (layer norms: 2 N D s)
    an adapted projection  N (8 w + 4 r)       of width w: what dropout multiplies by (a byte
                                               instead on a GPU), its result, and x A, in fp32
    its DoRA               8 N o, 4 w o        of o outputs: its results with and without the
                                               adapter, in fp32 (without dropout, the base's own
                                               in s bytes); with dropout the weight in fp32, where
                                               it isn't held so
    attention              4 N H d s           queries, keys and values of each head, result
    gated MLP              3 N I s             gate, silu(gate), value
    GELU by tanh           4 N I s             its four factors

Behind an instruction that is run once, keys and values are B (P + T) long. With checkpointing each
block keeps its input, N D s, and one block at a time all of the above. Beside it are the gradients
of the widest part, as in `frozen`.
"""

from __future__ import annotations

from sentilora.planning.recipe import Recipe, Run
from sentilora.planning.shape import ModelShape


def tokens_of(recipe: Recipe, run: Run) -> int:
    """N."""
    own = run.rows * run.own
    return own + run.prefix * (run.rows if recipe.checkpointing else 1)


def kept(shape: ModelShape, recipe: Recipe, run: Run) -> dict[str, int]:
    """Bytes that are kept for the backward, by part."""
    size, tokens = recipe.size, tokens_of(recipe, run)
    block, attention = _block(shape, recipe, tokens), _attention(shape, recipe, tokens)
    if recipe.checkpointing:
        inputs = shape.layers * tokens * shape.width * size
        return {"activations": inputs + block, "attention": attention, "prefix": 0}
    copies = 2 * run.rows * run.prefix * shape.heads * shape.head_size * size
    return {
        "activations": shape.layers * block,
        "attention": shape.layers * attention,
        "prefix": shape.layers * copies,
    }


def made_again(shape: ModelShape, recipe: Recipe, run: Run) -> int:
    """Of what is kept, what one block makes anew in the backward of a checkpointed pass."""
    tokens = tokens_of(recipe, run)
    return _block(shape, recipe, tokens) + _attention(shape, recipe, tokens)


def _block(shape: ModelShape, recipe: Recipe, tokens: int) -> int:
    size = recipe.size
    norms = 2 * shape.width * (4 if shape.gated else size)
    dropped = (4 if recipe.device == "cpu" else 1) if recipe.dropout else 0
    adapters = sum((4 + dropped) * w + 4 * recipe.rank for w, _ in recipe.adapted(shape))
    mlp = (3 if shape.gated else 4) * shape.inner * size
    return tokens * (norms + adapters + mlp) + _dora(shape, recipe, tokens)


def _dora(shape: ModelShape, recipe: Recipe, tokens: int) -> int:
    """What DoRA's magnitudes need for their gradients, and its own product for its input's."""
    if not recipe.dora:
        return 0
    outputs = sum(out for _, out in recipe.adapted(shape))
    if not recipe.dropout:
        return tokens * outputs * (4 + recipe.size)
    copied = recipe.size < 4 or recipe.quantize is not None
    weights = sum(into * out for into, out in recipe.adapted(shape)) if copied else 0
    return 8 * tokens * outputs + 4 * weights


def _attention(shape: ModelShape, recipe: Recipe, tokens: int) -> int:
    """Without the copies of a shared instruction's keys and values."""
    return 4 * tokens * shape.heads * shape.head_size * recipe.size


def working(shape: ModelShape, recipe: Recipe, run: Run) -> int:
    """Bytes that one block's backward needs beside what is kept."""
    return tokens_of(recipe, run) * recipe.size * (3 * shape.inner + 3 * shape.width)

"""What the hand-written path (`scoring.frozen`) keeps for its backward, and what it needs beside.

A batch of B rows of T tokens behind an instruction of P runs N = P + B T tokens (on a CPU in parts,
one a thread, each with its own P). With s bytes a number, a block keeps

    x, attended            2 N D s             its input, and the MLP's input before the norm
    dropout's mask, x A    N D + N R s         R: ranks of query, key and value together
    gate, value            2 N I s             (GELU: N I s)
    queries                N H d s
    keys, values           2 (B (P + T) + P) G d s, the instruction's laid before each row's
    probabilities          H (B T (P + T) + P^2) s

and of the last block only the asked-for tokens' beyond x, mask, keys and values. Beside it is, for
one block at a time, the larger of what the MLP's backward makes, (3 I + 2 D) N s (GELU: 2 I), and
the attention's: N (2 D + 2 H d + W) s for W = (H + 2 G) d columns, and for each of the
H B T (P + T) logits their gradient, its source and, where s is below 4, the probabilities again,
all in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator

from sentilora.planning.recipe import Recipe, Run
from sentilora.planning.shape import ModelShape

# As `scoring.frozen.engine` and `.workspace` have them.
LEAST_TOKENS = 32
SLAB_BYTES = 2**25  # on other devices than a CPU, whose slabs take what is written to


def parts_of(recipe: Recipe, run: Run) -> int:
    """Into how many parts a batch is cut, at most."""
    if recipe.device != "cpu":
        return 1
    return max(1, min(recipe.threads, run.rows * run.own // LEAST_TOKENS, run.rows))


def kept(shape: ModelShape, recipe: Recipe, run: Run) -> dict[str, int]:
    """Bytes that are kept for the backward, by part."""
    parts = parts_of(recipe, run)
    found = {"activations": 0, "attention": 0, "prefix": 0}
    rest = run.rows
    for part in range(parts, 0, -1):
        rows = -(-rest // part)
        rest -= rows
        of_part = Run(rows, run.own, run.prefix)
        tensors = list(_tensors(shape, recipe, of_part))
        for name, size in tensors:
            found[name] += size
        if recipe.device != "cpu":
            slabs = _in_slabs([size for _, size in tensors])
            found["activations"] += slabs - sum(size for _, size in tensors)
        tokens = run.prefix + rows * run.own
        # the embeddings, and the norms' statistics, which have memory of their own
        found["activations"] += tokens * (shape.width * recipe.size + 8 * shape.layers)
        found["attention"] += _masks(shape, of_part)
    return found


def _tensors(shape: ModelShape, recipe: Recipe, run: Run) -> Iterator[tuple[str, int]]:
    """(part, bytes) of what all blocks keep, in the order in which `body` makes it."""
    size, head = recipe.size, shape.head_size
    rank = recipe.rank * len(recipe.adapted(shape))
    front, behind = run.prefix, run.prefix + run.own
    tokens = front + run.rows * run.own
    for block in range(shape.layers):
        last = block == shape.layers - 1
        asked = run.rows if last else tokens  # tokens beyond the keys and values
        queries = run.rows * (1 if last else run.own)
        if recipe.dropout:
            yield "activations", tokens * shape.width
        yield "activations", tokens * rank * size
        for _ in ("key", "value"):
            yield "prefix", front * shape.groups * head * size
        if not last:
            yield "attention", front * shape.heads * head * size
            yield "attention", shape.heads * front * front * size
        for _ in ("key", "value"):
            yield "prefix", run.rows * front * shape.groups * head * size
            yield "attention", run.rows * run.own * shape.groups * head * size
        yield "attention", queries * shape.heads * head * size
        yield "attention", shape.heads * queries * behind * size
        yield "activations", asked * shape.width * size
        for _ in range(2 if shape.gated else 1):
            yield "activations", asked * shape.inner * size
        yield "activations", asked * shape.width * size


def _in_slabs(sizes: list[int]) -> int:
    """What `Workspace` takes for tensors of these sizes, one after the other."""
    taken = room = 0
    for size in sizes:
        if size > room:
            room = max(size, SLAB_BYTES)
            taken += room
        room -= -(-size // 64) * 64
    return taken


def _masks(shape: ModelShape, run: Run) -> int:
    """Additive masks in fp32, with the queries of a group of heads one after the other."""
    behind = run.prefix + run.own
    queries = run.own + run.rows  # of the rows, and those that are asked for
    each = shape.heads // shape.groups * 4
    return each * (queries * behind + run.prefix**2)


def working(shape: ModelShape, recipe: Recipe, run: Run) -> int:
    """Bytes that one block's backward needs beside what is kept."""
    size = recipe.size
    parts = parts_of(recipe, run)
    behind = run.prefix + run.own
    tokens = parts * run.prefix + run.rows * run.own
    queries = shape.heads * shape.head_size
    mlp = tokens * size * ((3 if shape.gated else 2) * shape.inner + 2 * shape.width)
    logits = shape.heads * run.rows * run.own * behind
    attention = (
        tokens * size * (2 * shape.width + 2 * queries + shape.qkv)
        + 2 * run.rows * behind * shape.groups * shape.head_size * size
        + logits * (8 if size == 4 else 12)
    )
    return max(mlp, attention)

"""The peak of a training step's memory, by part, from a model's shape and how it is tuned.

The parts are those that are held at once when the backward pass has begun:

weights
    Linear projections at their dtype or quantised; embeddings, norms, biases and head always at the
    dtype.
adapters
    For each weight of an adapter, in fp32: itself, its gradient, AdamW's two moments (Loshchilov
    and Hutter 2019), and the sum of which the averaged weights are made; on a CPU also the best
    weights so far. And its copy in the base's dtype that a step computes with.
activations, attention, prefix
    What the forward keeps; see `frozen` and `general`. "prefix" is the instruction's keys and
    values, laid before each row's.
head
    A slice of the vocabulary's matrix in fp32 where it isn't already, the logits on it, and hidden
    states with their gradient at the asked-for tokens; see `scoring.head`. Where gradients are
    checkpointed it is done with before any block is run again, so there it is what it takes beyond
    that block.
working
    What one block's backward needs beside; on a GPU cuBLAS's workspaces, too: one for the thread
    of the forward pass and one for that of the backward (`WORKSPACE_BYTES` each, as measured on a
    Hopper; older GPUs take a quarter).
runtime
    What belongs to no part. On a GPU CUDA's context, which torch's allocator doesn't count
    (`RUNTIME_BYTES`). On a CPU the libraries (`IMPORTED_BYTES`), code that is loaded on its first
    use (`RUNTIME_BYTES`), the tokenizer
    (`TOKENIZER_BYTES` a token), and the projections that the hand-written path joined, whose old
    memory is free but stays in the C library's heap (giving it back by `malloc_trim` took 62 MB off
    SmolLM2's 911 MB, of 66 MB joined). Of a base that is quantised there, what that leaves in the
    heap: code loaded on its first use (`QUANTISING_BYTES`), and room between what was quantised, a
    share of each matrix that is small enough for the heap (`QUANTISING_LEAVES`; measured: 0.2 to
    0.8 bytes a weight, on bases of 82 to 494 million weights). On both what an allocator loses
    between working tensors of changing sizes, `FRAGMENTS` of them (measured on CPUs: 0.6 to 1.1
    beyond the tensors alive).

Left out of a step, as the system takes them back when it needs to: on a CPU the mapped file's pages
that a quantised base was read from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from sentilora.planning import frozen, general
from sentilora.planning.recipe import INT8_BYTES, NF4_BYTES, Recipe, Run
from sentilora.planning.shape import ModelShape

IMPORTED_BYTES = 350_000_000  # torch, transformers and PEFT, resident in a process on a CPU
RUNTIME_BYTES = {"cpu": 40_000_000, "cuda": 500_000_000}
WORKSPACE_BYTES = {"cuda": 34_000_000}
TOKENIZER_BYTES = 770  # a token of the vocabulary
FRAGMENTS = 0.75
QUANTISING_BYTES = 40_000_000
QUANTISING_LEAVES = 0.45  # bytes a weight
HEAP_BYTES = 2**25  # the largest block that the GNU C library's heap may hold
_HEAD_SLICE = {"cpu": 2**22}
_HEAD_SLICE_ELSEWHERE = 2**26


@dataclass(frozen=True)
class Parts:
    """Bytes at the peak, by part; see the module."""

    weights: int
    adapters: int
    activations: int
    attention: int
    prefix: int
    head: int
    working: int
    runtime: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, field.name) for field in fields(self))

    def to_dict(self) -> dict[str, int]:
        """As JSON has it."""
        return {**asdict(self), "total": self.total}


def peak(shape: ModelShape, recipe: Recipe, run: Run) -> Parts:
    """The peak of a training step whose largest pass is `run`."""
    path = frozen if recipe.handwritten(shape) else general
    working, whole = path.working(shape, recipe, run), _made_whole(shape, recipe, run)
    lost = _lost(recipe, working, whole)
    head = _head(shape, recipe, run)
    if recipe.checkpointing:
        head = max(0, head - general.made_again(shape, recipe, run) - working - whole - lost)
    return Parts(
        weights=weights(shape, recipe),
        adapters=_adapters(shape, recipe),
        **path.kept(shape, recipe, run),
        head=head,
        working=working + whole + 2 * WORKSPACE_BYTES.get(recipe.device, 0),
        runtime=_runtime(shape, recipe) + lost,
    )


def loading(shape: ModelShape, recipe: Recipe) -> int:
    """The peak before training: on a CPU the file is mapped, and read into weights of another
    dtype or into fewer bits; later some of these are joined. Elsewhere it is where the scorer
    checks itself on a text."""
    held = weights(shape, recipe)
    if recipe.device != "cpu":
        asking = _head_slice(shape, recipe) + WORKSPACE_BYTES.get(recipe.device, 0)
        return held + asking + RUNTIME_BYTES.get(recipe.device, 0)
    more = max(_mapped(shape, recipe), _joined(shape, recipe))
    return held + _process(shape) + more + _left(shape, recipe)


def _mapped(shape: ModelShape, recipe: Recipe) -> int:
    """Of the file what is made anew from it, and so is there twice; the rest is used in place."""
    if recipe.size != shape.stored_bytes:
        anew = shape.parameters if shape.quantized is None else shape.rest
        return anew * shape.stored_bytes
    if shape.quantized is not None:
        return 0
    return shape.linear * shape.stored_bytes if recipe.quantize is not None else 0


def _lost(recipe: Recipe, working: int, whole: int) -> int:
    """Between working tensors of changing sizes; a quantised matrix made whole stays on a CPU."""
    return int(FRAGMENTS * (working if recipe.device == "cpu" else working + whole))


def _runtime(shape: ModelShape, recipe: Recipe) -> int:
    """What belongs to no part, but for what is lost between tensors."""
    if recipe.device != "cpu":
        return RUNTIME_BYTES.get(recipe.device, 0)
    return _process(shape) + _joined(shape, recipe) + _left(shape, recipe)


def _process(shape: ModelShape) -> int:
    return IMPORTED_BYTES + RUNTIME_BYTES["cpu"] + TOKENIZER_BYTES * shape.vocabulary


def _left(shape: ModelShape, recipe: Recipe) -> int:
    """In the heap by quantising the base."""
    if recipe.quantize is None or shape.quantized is not None:
        return 0
    sizes = [into * out for each in shape.matrices.values() for into, out in each]
    small = shape.layers * sum(size for size in sizes if size * recipe.size <= HEAP_BYTES)
    return QUANTISING_BYTES + int(QUANTISING_LEAVES * small)


def _joined(shape: ModelShape, recipe: Recipe) -> int:
    """Of query, key and value projections that the hand-written path made one of."""
    joins = recipe.handwritten(shape) and not shape.fused and recipe.quantize is None
    return joins * shape.layers * shape.width * shape.qkv * recipe.size


def _made_whole(shape: ModelShape, recipe: Recipe, run: Run) -> int:
    """Of a quantised base the largest matrix, as it is made whole for a product: on a CPU in memory
    that each part of a batch keeps for it. On the hand-written path that may be query, key and
    value, which elsewhere than on a CPU are made first and then put together."""
    if recipe.quantize is None:
        return 0
    on_cpu, handwritten = recipe.device == "cpu", recipe.handwritten(shape)
    largest = max(into * out for each in shape.matrices.values() for into, out in each)
    if handwritten and not shape.fused:
        largest = max(largest, (1 if on_cpu else 2) * shape.width * shape.qkv)
    return largest * recipe.size * (frozen.parts_of(recipe, run) if handwritten else 1)


def trained(shape: ModelShape, recipe: Recipe) -> int:
    """Weights of the adapters, the rows of a fused projection that stay zero among them."""
    magnitudes = 1 if recipe.dora else 0
    of_block = sum(recipe.rank * (w + out) + magnitudes * out for w, out in recipe.adapted(shape))
    return shape.layers * of_block


def weights(shape: ModelShape, recipe: Recipe) -> int:
    """Bytes of the base."""
    if recipe.quantize in ("nf4", "fp4"):
        linear = NF4_BYTES * shape.linear
    elif recipe.quantize == "int8":
        outputs = sum(out for each in shape.matrices.values() for _, out in each) * shape.layers
        linear = INT8_BYTES * shape.linear + 4 * outputs
    else:
        linear = recipe.size * shape.linear
    return int(linear) + recipe.size * shape.rest


def _adapters(shape: ModelShape, recipe: Recipe) -> int:
    count = trained(shape, recipe)
    copies = 6 if recipe.device == "cpu" else 5
    if not recipe.handwritten(shape):
        return copies * 4 * count
    rank = recipe.rank * len(recipe.adapted(shape))
    side_by_side = shape.layers * rank * (shape.width + shape.qkv)
    return copies * 4 * count + side_by_side * recipe.size


def _head(shape: ModelShape, recipe: Recipe, run: Run) -> int:
    of_rows = run.rows * (3 * 4 * _sliced(shape, recipe) + 4 * 4 * shape.width)
    return _head_slice(shape, recipe) + of_rows


def _head_slice(shape: ModelShape, recipe: Recipe) -> int:
    """Of the vocabulary's matrix in fp32, where it isn't already."""
    return 4 * _sliced(shape, recipe) * shape.width if recipe.size < 4 else 0


def _sliced(shape: ModelShape, recipe: Recipe) -> int:
    """Tokens of the vocabulary at a time."""
    most = _HEAD_SLICE.get(recipe.device, _HEAD_SLICE_ELSEWHERE)
    return min(shape.vocabulary, max(1, most // (4 * shape.width)))

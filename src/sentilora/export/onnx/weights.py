"""Weights of an ONNX graph in 8 or 4 bits, by blocks, for onnxruntime's own kernels.

Each row of a matrix (the weights of one output) is cut into blocks of `BLOCK` inputs; each block
has its own scale and zero point, so that its least and its greatest weight are exact. A matrix
product becomes `MatMulNBits` and the embedding `GatherBlockQuantized`, both of the domain
com.microsoft. An embedding that is the head as well (tied) stays one tensor, which both read.

With 8-bit *activations* (`accuracy_level` 4) the products are of integers: what is multiplied with
the weights is rounded to 8 bits by blocks, too, at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

BLOCK = 32  # weights that share a scale, as in GGUF's Q4_1 and Q8_0
_DOMAIN = "com.microsoft"
_FULL, _INTEGERS = 1, 4  # `accuracy_level`: products in fp32, or of 8-bit integers


@dataclass(frozen=True)
class Quantized:
    """A matrix [N, K] by blocks.

    packed
        [N, B, BLOCK * bits / 8] uint8, the first of two 4-bit weights in the low half.
    scales
        [N, B] fp32.
    zeros
        [N, ceil(B * bits / 8)] uint8, packed as the weights are.
    """

    packed: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8]


def quantize(matrix: NDArray[np.float32], bits: int) -> Quantized:
    """Round each block of a matrix [N, K] to `bits` (8 or 4); K is filled up with zeros."""
    rows, width = matrix.shape
    count = -(-width // BLOCK)
    blocks = np.zeros((rows, count * BLOCK), dtype=np.float32)
    blocks[:, :width] = matrix
    blocks = blocks.reshape(rows, count, BLOCK)
    most = 2**bits - 1
    low, high = np.minimum(blocks.min(axis=2), 0), np.maximum(blocks.max(axis=2), 0)
    scales = (high - low) / most
    scales[scales == 0] = 1
    zeros = np.rint(-low / scales)
    values = np.rint(blocks / scales[:, :, None]) + zeros[:, :, None]
    packed = _packed(values.clip(0, most).astype(np.uint8), bits)
    return Quantized(packed, scales.astype(np.float32), _packed(zeros.astype(np.uint8), bits))


def _packed(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Two 4-bit values a byte, along the last axis; 8-bit ones as they are."""
    if bits == 8:
        return values
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)
    return np.bitwise_or(values[..., ::2], values[..., 1::2] << 4, dtype=np.uint8)


def quantize_weights(model: ir.Model, bits: int, *, integers: bool) -> None:
    """Replace the products with constant matrices, and the embedding, in place.

    `integers` rounds activations as well. Embeddings whose width is no multiple of `BLOCK`, and
    those of positions, which are small, stay as they are.
    """
    graph = model.graph
    _Pass(graph, bits, _INTEGERS if integers else _FULL).run()
    model.opset_imports[_DOMAIN] = 1
    used = {value for node in graph for value in node.inputs}
    for name, value in list(graph.initializers.items()):
        if value not in used:
            del graph.initializers[name]


class _Pass:
    """Goes through a graph once; each matrix is quantised once, however often it is used."""

    def __init__(self, graph: ir.Graph, bits: int, level: int) -> None:
        self.graph = graph
        self.bits = bits
        self.level = level
        self.done: dict[tuple[ir.Value, bool], tuple[list[ir.Value], int, int]] = {}
        self.embedding = _embedding(graph)

    def run(self) -> None:
        for node in list(self.graph):
            if node.op_type in ("MatMul", "Gemm") and (found := _product(node)) is not None:
                self._replace(node, self._multiply(node, *found))
            elif node is self.embedding and _constant_shape(node.inputs[0])[1] % BLOCK == 0:
                self._replace(node, self._gather(node))

    def _multiply(self, node: ir.Node, weight: ir.Value, transposed: bool) -> list[ir.Node]:
        """`transposed` says that the matrix is stored [N, K]."""
        stored, rows, width = self._stored(weight, transposed)
        product = ir.node(
            "MatMulNBits",
            [node.inputs[0], *stored],
            {
                "K": width,
                "N": rows,
                "bits": self.bits,
                "block_size": BLOCK,
                "accuracy_level": self.level,
            },
            domain=_DOMAIN,
        )
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is None:
            return [product]
        return [product, ir.node("Add", [product.outputs[0], bias])]

    def _gather(self, node: ir.Node) -> list[ir.Node]:
        table: Any = node.inputs[0]
        (packed, scales, zeros), rows, _ = self._stored(table, True)
        flat = self._constant(f"{packed.name}_flat", np.array([rows, -1], dtype=np.int64))
        reshape = ir.node("Reshape", [packed, flat])
        gather = ir.node(
            "GatherBlockQuantized",
            [reshape.outputs[0], node.inputs[1], scales, zeros],
            {"bits": self.bits, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1},
            domain=_DOMAIN,
        )
        return [reshape, gather]

    def _stored(self, weight: ir.Value, transposed: bool) -> tuple[list[ir.Value], int, int]:
        if (weight, transposed) not in self.done:
            tensor: Any = weight.const_value
            matrix = tensor.numpy() if transposed else tensor.numpy().T
            made = quantize(np.ascontiguousarray(matrix, dtype=np.float32), self.bits)
            parts: dict[str, NDArray[Any]] = vars(made)
            values = [self._constant(f"{weight.name}_{part}", of) for part, of in parts.items()]
            rows, width = matrix.shape
            self.done[weight, transposed] = (values, rows, width)
        return self.done[weight, transposed]

    def _constant(self, name: str, array: NDArray[Any]) -> ir.Value:
        tensor = ir.tensor(array, name=name)
        value = ir.Value(
            name=name,
            shape=ir.Shape(array.shape),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self.graph.register_initializer(value)
        return value

    def _replace(self, node: ir.Node, nodes: list[ir.Node]) -> None:
        last, old = nodes[-1].outputs[0], node.outputs[0]
        last.shape, last.type = old.shape, old.type
        self.graph.insert_before(node, nodes)
        old.replace_all_uses_with(last)
        self.graph.remove(node, safe=True)


def _embedding(graph: ir.Graph) -> ir.Node:
    """The look-up of the ids: in the table of most rows, for one of positions is shorter."""
    lookups = [node for node in graph if node.op_type == "Gather"]
    return max(lookups, key=lambda node: _constant_shape(node.inputs[0])[0])


def _constant_shape(value: Any) -> tuple[int, int]:
    """Of a constant matrix of floats; (0, 0) for anything else."""
    tensor = None if value is None else value.const_value
    if tensor is None or tensor.dtype != ir.DataType.FLOAT or len(tensor.shape) != 2:
        return 0, 0
    return int(tensor.shape[0]), int(tensor.shape[1])


def _product(node: ir.Node) -> tuple[ir.Value, bool] | None:
    """The constant matrix of a product, and whether it is stored [outputs, inputs]."""
    weight: Any = node.inputs[1]
    if min(_constant_shape(weight)) < 2:
        return None
    if node.op_type == "MatMul":
        return weight, False
    factors = [node.attributes.get_float(name, 1.0) for name in ("alpha", "beta")]
    if factors != [1.0, 1.0] or node.attributes.get_int("transA", 0):
        return None
    return weight, bool(node.attributes.get_int("transB", 0))

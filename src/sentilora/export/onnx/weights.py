"""The weights of an ONNX graph in few bits, of which two things can be made.

*Unpacked* when the model is loaded, by nodes that onnxruntime computes once: the file is small,
memory and speed are those of fp32, and nothing but the weights is rounded. Or multiplied *as
integers*, by onnxruntime's own kernels (`MatMulNBits`, `GatherBlockQuantized`, of its domain
com.microsoft): memory is small as well, and what is multiplied with the weights is rounded to 8
bits, by blocks, at run time. (The same kernels in fp32 unpack for every batch: five times slower.)

Where the others have 4 bits, some matrices have 8. Those of the vocabulary, as in llama.cpp's files
(where embedding and head are one, they stay one). And those that an adapter was merged into: 4 bits
would round a small update away, all of it where the base itself was made of such 4-bit blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sentilora.export.onnx.blocks import BLOCK, Blocks, in_blocks

_DOMAIN = "com.microsoft"
_INTEGERS = 4  # `accuracy_level`: products of 8-bit integers


def shrink_weights(
    model: ir.Model, bits: int, *, integers: bool, tuned: Collection[bytes] = ()
) -> None:
    """Put the matrices that hidden states are multiplied with, and the embedding, into `bits`.

    In place. `tuned` are the digests of those that an adapter was merged into. Embeddings whose
    width is no multiple of `BLOCK` stay as they are, and so do those of positions, which are small.
    """
    if not integers and bits != 8:
        raise ValueError("only 8 bits are unpacked")  # no offsets are added
    graph = model.graph
    writer = (_Integers if integers else _Unpacked)(graph, bits, tuned)
    for node in list(graph):
        if node is writer.embedding:
            if _constant_shape(node.inputs[0])[1] % BLOCK == 0:
                writer.look_up(node)
        elif node.op_type in ("MatMul", "Gemm") and (found := _product(node)) is not None:
            writer.multiply(node, *found)
    model.opset_imports[_DOMAIN] = 1
    used = {value for node in graph for value in node.inputs}
    for name, value in list(graph.initializers.items()):
        if value not in used:
            del graph.initializers[name]


def digest(matrix: NDArray[np.float32]) -> bytes:
    """What a matrix [outputs, inputs] is known by: the exporter gives it another name."""
    return hashlib.sha256(np.ascontiguousarray(matrix).data).digest()


class _Writer:
    """Rounds each matrix once, however often it is used."""

    def __init__(self, graph: ir.Graph, bits: int, tuned: Collection[bytes]) -> None:
        self.tuned = tuned
        self.graph = graph
        self.bits = bits
        self.embedding = _embedding(graph)
        self.vocabulary = _constant_shape(self.embedding.inputs[0])[0]
        self._done: dict[tuple[ir.Value, bool], Any] = {}
        self._sums: dict[int, ir.Value] = {}

    def blocks(self, weight: ir.Value, transposed: bool) -> Blocks:
        """Of a matrix [N, K]; `transposed` says that it is stored so, not [K, N]."""
        tensor: Any = weight.const_value
        matrix = tensor.numpy() if transposed else tensor.numpy().T
        matrix = np.ascontiguousarray(matrix, dtype=np.float32)
        finely = (
            len(matrix) == self.vocabulary
            or matrix.shape[1] % BLOCK != 0
            or digest(matrix) in self.tuned
        )
        return in_blocks(matrix, 8 if finely else self.bits)

    def constant(self, name: str, array: NDArray[Any]) -> ir.Value:
        tensor = ir.tensor(array, name=name)
        value = ir.Value(
            name=name,
            shape=ir.Shape(array.shape),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self.graph.register_initializer(value)
        return value


class _Unpacked(_Writer):
    """Fp32 matrices computed from the small ones, of 8 bits, in the place of the stored ones."""

    def multiply(self, node: ir.Node, weight: ir.Value, transposed: bool) -> None:
        node.replace_input_with(1, self._computed(weight, transposed))

    def look_up(self, node: ir.Node) -> None:
        table: Any = node.inputs[0]
        node.replace_input_with(0, self._computed(table, True))

    def _computed(self, weight: ir.Value, transposed: bool) -> ir.Value:
        if (weight, transposed) not in self._done:
            made = self.blocks(weight, transposed)
            values = self.constant(f"{weight.name}_values", made.values)
            scales = self.constant(f"{weight.name}_scales", made.scales[:, :, None])
            zeros = self.constant(f"{weight.name}_zeros", made.zeros[:, :, None])
            shape = self.constant(f"{weight.name}_shape", np.array([len(made.values), -1]))
            steps = [
                ir.node("Cast", [values], {"to": ir.DataType.FLOAT}),
                ir.node("Cast", [zeros], {"to": ir.DataType.FLOAT}),
            ]
            steps.append(ir.node("Sub", [step.outputs[0] for step in steps]))
            steps.append(ir.node("Mul", [steps[-1].outputs[0], scales]))
            steps.append(ir.node("Reshape", [steps[-1].outputs[0], shape]))
            width = _constant_shape(weight)[1 if transposed else 0]
            if width % BLOCK:
                edges = [
                    self.constant(f"{weight.name}_{name}", np.array([at]))
                    for name, at in (("first", 0), ("last", width), ("axis", 1))
                ]
                steps.append(ir.node("Slice", [steps[-1].outputs[0], *edges]))
            if not transposed:
                steps.append(ir.node("Transpose", [steps[-1].outputs[0]], {"perm": [1, 0]}))
            self.graph.insert_before(self.graph[0], steps)
            self._done[weight, transposed] = steps[-1].outputs[0]
        found: ir.Value = self._done[weight, transposed]
        return found


class _Integers(_Writer):
    """onnxruntime's own nodes in the place of the products and the look-up."""

    def multiply(self, node: ir.Node, weight: ir.Value, transposed: bool) -> None:
        stored, made = self._stored(weight, transposed)
        shape = _constant_shape(weight)
        rows, width = shape if transposed else shape[::-1]
        sizes = {"K": width, "N": rows, "bits": made.bits, "block_size": BLOCK}
        hidden: Any = node.inputs[0]
        nodes = [
            ir.node(
                "MatMulNBits",
                [hidden, *stored],
                {**sizes, "accuracy_level": _INTEGERS},
                domain=_DOMAIN,
            )
        ]
        if made.offsets is not None:
            nodes += self._add_offsets(nodes[0], hidden, weight, made.offsets)
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            nodes.append(ir.node("Add", [nodes[-1].outputs[0], node.inputs[2]]))
        self._replace(node, nodes)

    def _add_offsets(
        self, product: ir.Node, hidden: ir.Value, weight: ir.Value, offsets: NDArray[np.float32]
    ) -> list[ir.Node]:
        """Of each block, its offset times the sum of its inputs: a thin product beside the other.

        A matrix is used once, but for the vocabulary's, which has no offsets.
        """
        count = offsets.shape[1]
        if count not in self._sums:
            members = np.repeat(np.eye(count, dtype=np.float32), BLOCK, axis=0)
            self._sums[count] = self.constant(f"sums_of_{count}_blocks", members)
        kept = self.constant(f"{weight.name}_offsets", np.ascontiguousarray(offsets.T))
        sums = ir.node("MatMul", [hidden, self._sums[count]])
        thin = ir.node("MatMul", [sums.outputs[0], kept])
        return [sums, thin, ir.node("Add", [product.outputs[0], thin.outputs[0]])]

    def look_up(self, node: ir.Node) -> None:
        table: Any = node.inputs[0]
        (packed, scales, zeros), made = self._stored(table, True)
        shape = self.constant(f"{table.name}_shape", np.array([self.vocabulary, -1]))
        flat = ir.node("Reshape", [packed, shape])
        gather = ir.node(
            "GatherBlockQuantized",
            [flat.outputs[0], node.inputs[1], scales, zeros],
            {"bits": made.bits, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1},
            domain=_DOMAIN,
        )
        self._replace(node, [flat, gather])

    def _stored(self, weight: ir.Value, transposed: bool) -> tuple[list[ir.Value], Blocks]:
        """The values, the scales and, in 8 bits, the zero points; in 4 they are the default."""
        if (weight, transposed) not in self._done:
            made = self.blocks(weight, transposed)
            parts: dict[str, NDArray[Any]] = {"packed": made.packed, "scales": made.scales}
            if made.bits == 8:
                parts["zeros"] = made.zeros
            values = [self.constant(f"{weight.name}_{part}", of) for part, of in parts.items()]
            self._done[weight, transposed] = values, made
        found: tuple[list[ir.Value], Blocks] = self._done[weight, transposed]
        return found

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
    if factors != [1.0, 1.0] or node.attributes.get_int("transA", False):
        return None
    return weight, bool(node.attributes.get_int("transB", False))

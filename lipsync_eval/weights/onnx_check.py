"""What an ONNX file holds, looked at before any runtime opens it.

An ONNX file is a protocol buffer; the few messages that matter here are walked by their field numbers (onnx.proto3 of
onnx/onnx). Refused: tensors kept in other files, tensors that declare more numbers than the file holds, and operators that
make a huge tensor out of a small constant. What a network makes of its input is not bounded by this.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from lipsync_eval.errors import RefusedCheckpoint

_FIELDS: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Message -> field number -> the message that lies there."""
_SHAPED: Final = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "OneHot": 1, "RandomNormal": -1, "RandomUniform": -1}
"""Operators whose output is as large as a constant says; which input holds it, -1: the attribute `shape`."""
MOST: Final = 1 << 26
"""Numbers that a constant may grow to."""
_DEEPEST: Final = 32
_INT64: Final = 7


def check_onnx(data: bytes) -> None:
    """Look at an ONNX file.

    Raises:
        RefusedCheckpoint: it is none, it is cut off, or it asks for what no network of this package needs.
    """
    if not data:
        raise RefusedCheckpoint("it is empty")
    constants: dict[bytes, list[int]] = {}
    nodes: list[memoryview] = []
    _walk("model", memoryview(data), 0, constants, nodes)
    for node in nodes:
        _check_node(node, constants)


def _walk(kind: str, view: memoryview, depth: int, constants: dict[bytes, list[int]], nodes: list[memoryview]) -> None:
    if depth > _DEEPEST:
        raise RefusedCheckpoint(f"its graphs are more than {_DEEPEST} deep in each other")
    if kind == "tensor":
        name, numbers = _check_tensor(view)
        if name:
            constants[name] = numbers
        return
    if kind == "node":
        nodes.append(view)
        _note_constant(view, constants)
    dims = 1
    for number, value in _fields(view):
        if isinstance(value, int):
            if kind == "sparse" and number == 3:
                dims *= max(value, 1)
            continue
        if kind == "sparse" and number == 3:
            for n in _packed(value):
                dims *= max(n, 1)
        elif number in _FIELDS[kind]:
            _walk(_FIELDS[kind][number], value, depth + 1, constants, nodes)
    if dims > MOST:
        raise RefusedCheckpoint(f"it holds a sparse tensor of {dims} numbers")


def _check_tensor(view: memoryview) -> tuple[bytes, list[int]]:
    """Refuse a tensor that is elsewhere or is not all there; gives its name, and its numbers where they can be a shape."""
    name, kind, raw, count = b"", 0, b"", 1
    numbers: list[int] = []
    for number, value in _fields(view):
        if (number == 13) or (number == 14 and value == 1):
            raise RefusedCheckpoint(
                "it keeps tensors in other files beside it, which are never opened; give one whole file"
            )
        if number == 1:
            for n in [value] if isinstance(value, int) else _packed(value):
                if not 0 <= n < 1 << 48:
                    raise RefusedCheckpoint(f"it holds a tensor with a side of {n}")
                count *= n
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 7 and len(numbers) <= 16:
            numbers += [value] if isinstance(value, int) else _packed(value, 17)
        elif number == 8 and not isinstance(value, int):
            name = bytes(value)
        elif number == 9 and not isinstance(value, int) and len(value) <= 128:
            raw = bytes(value)
    if count > 2 * len(view):  # two numbers of 4 bits fit a byte
        raise RefusedCheckpoint(f"it declares a tensor of {count} numbers and holds {len(view)} bytes of it")
    if kind == _INT64 and raw and len(raw) % 8 == 0:
        numbers = list(struct.unpack(f"<{len(raw) // 8}q", raw))
    return name, numbers if kind == _INT64 and len(numbers) <= 16 else []


def _note_constant(node: memoryview, constants: dict[bytes, list[int]]) -> None:
    """Remember the numbers of a Constant node under the name of its output."""
    operator, _, outputs, attributes = _parts(node)
    if operator != b"Constant" or not outputs:
        return
    for attribute in attributes:
        for number, value in _fields(attribute):
            if number == 5 and not isinstance(value, int):
                constants[outputs[0]] = _check_tensor(value)[1]
    if ints := _ints(attributes, b"value_ints"):
        constants[outputs[0]] = ints


def _check_node(node: memoryview, constants: dict[bytes, list[int]]) -> None:
    operator, inputs, _, attributes = _parts(node)
    place = _SHAPED.get(operator.decode("ascii", "replace"))
    if place is None:
        return
    shape = (
        _ints(attributes, b"shape") if place < 0 else constants.get(inputs[place], []) if place < len(inputs) else []
    )
    count = 1
    for n in shape:
        count *= max(n, 1)
    if count > MOST:
        raise RefusedCheckpoint(f"its operator {operator.decode()} makes a tensor of {count} numbers out of a constant")


def _parts(node: memoryview) -> tuple[bytes, list[bytes], list[bytes], list[memoryview]]:
    """Operator, inputs, outputs and attributes of a node."""
    operator, inputs, outputs, attributes = b"", [], [], []
    for number, value in _fields(node):
        if isinstance(value, int):
            continue
        if number == 4:
            operator = bytes(value)
        elif number == 1:
            inputs.append(bytes(value))
        elif number == 2:
            outputs.append(bytes(value))
        elif number == 5:
            attributes.append(value)
    return operator, inputs, outputs, attributes


def _ints(attributes: list[memoryview], name: bytes) -> list[int]:
    for attribute in attributes:
        called = b""
        ints: list[int] = []
        for number, value in _fields(attribute):
            if number == 1 and not isinstance(value, int):
                called = bytes(value)
            elif number == 8 and len(ints) <= 16:
                ints += [value] if isinstance(value, int) else _packed(value, 17)
        if called == name:
            return ints
    return []


def _fields(view: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, number or bytes) of a message; fixed-size fields come as bytes."""
    at = 0
    while at < len(view):
        tag, at = _varint(view, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(view, at)
            yield number, value - (1 << 64) if value >> 63 else value
            continue
        if wire == 2:
            length, at = _varint(view, at)
        else:
            length = {1: 8, 5: 4}.get(wire, -1)
        if length < 0 or number == 0:
            raise RefusedCheckpoint("onnxruntime cannot read it: it is no ONNX file, or a damaged one")
        if at + length > len(view):
            raise RefusedCheckpoint(
                "onnxruntime cannot read it: it is no ONNX file, or it is cut off (its end is missing)"
            )
        yield number, view[at : at + length]
        at += length


def _packed(view: memoryview, most: int = 1 << 20) -> list[int]:
    out: list[int] = []
    at = 0
    while at < len(view) and len(out) < most:
        value, at = _varint(view, at)
        out.append(value - (1 << 64) if value >> 63 else value)
    return out


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            raise RefusedCheckpoint(
                "onnxruntime cannot read it: it is no ONNX file, or it is cut off (its end is missing)"
            )
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
    raise RefusedCheckpoint("onnxruntime cannot read it: it is no ONNX file, or a damaged one")

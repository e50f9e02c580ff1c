"""Files that are small and would become large, or take for ever, are refused at once; files that are cut off, in plain words."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_safetensors
from support import pickles as p

from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.weights import load_checkpoint, load_tensors, onnx_session


def nested_pairs(depth: int = 60) -> bytes:
    """A tuple of two times a tuple of two times...: its repr and its hash take 2**depth steps."""
    return b")q\x00" + b"".join(
        b"0h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(depth)
    )


def put(index: int) -> bytes:
    return b"q" + bytes([index])


def get(index: int) -> bytes:
    return b"h" + bytes([index])


NESTED = nested_pairs()
WORD = p.text("x" * 1000) + put(200)
LIST = b"]" + put(200) + b"(" + b"K\x01" * 1000 + b"e0"
DEVICE = p.name("torch", "device")

BOMBS: dict[str, bytes] = {
    "device of a nested tuple": DEVICE + b"(" + NESTED + b"tR",
    "dtype of a nested tuple": p.name("numpy", "dtype") + b"(" + NESTED + b"tR",
    "codec of a nested tuple": p.name("_codecs", "encode") + b"(" + p.text("a") + NESTED + b"tR",
    "byte order of a nested tuple": p.name("numpy", "dtype") + b"(" + p.text("f8") + b"tR(K\x03" + NESTED + b"tb",
    "key of a nested tuple": b"}" + NESTED + b"Ns",
    "set of a nested tuple": b"\x8f(" + NESTED + b"\x90",
    "storage of a nested size": b"(" + p.text("storage") + p.name("torch", "FloatStorage") + p.text("0") + p.text("cpu") + NESTED + b"tQ",
    "tensor of a nested size": p.name("torch._utils", "_rebuild_tensor_v2") + b"(" + p.storage("FloatStorage", "0", 1) + b"K\x00" + NESTED + b")tR",
    "persistent id that is nested": NESTED + b"Q",
    "text doubled": WORD + b"".join(DEVICE + b"(" + get(200 + i) + get(200 + i) + b"tR" + put(201 + i) for i in range(50)),
    "list copied": LIST + (p.name("torch", "Size") + b"(" + get(200) + b"tR") * 30_000,
    "list of integers copied": LIST + (p.name("torch.jit._pickle", "build_intlist") + b"(" + get(200) + b"tR") * 30_000,
    "options copied": b"}" + put(200) + b"(" + b"".join(p.text(f"{i}") + b"N" for i in range(1000)) + b"u0"
    + (p.name("argparse", "Namespace") + b")" + get(200) + b"\x92") * 30_000,
    "millions of empty sets": b"(" + b"\x8f" * 3_000_000 + b"t",
    "long key again and again": p.text("x" * 100_000) + put(200) + b"}(" + (get(200) + b"N") * 1000 + b"u",
    "number with a million digits as a key": b"}" + b"\x8b" + struct.pack("<i", 500_000) + b"\x01" * 500_000 + b"Ns",
    "tuples with equal hashes": b"}(" + b"".join(p.integer(i) + b"\x85N" for i in range(20_000)) + b"u",
}  # fmt: skip


def test_bombs_are_refused_at_once(tmp_path: Path) -> None:
    """In a process that may have 3 GB, and a minute of processor time for each: an exponential one ends it with a signal."""
    for i, data in enumerate(BOMBS.values()):
        (tmp_path / f"{i}.pt").write_bytes(p.zipped(p.whole(data), {"archive/data/0": b"\0" * 4}))
    script = """
    import resource, signal, sys
    from pathlib import Path
    import torch
    from lipsync_eval.errors import RefusedCheckpoint
    from lipsync_eval.weights import load_tensors
    used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + (3 << 30), used + (3 << 30)))
    for i in range(int(sys.argv[2])):
        signal.setitimer(signal.ITIMER_PROF, 60)
        try:
            load_tensors(Path(sys.argv[1]) / f"{i}.pt")
            print("loaded", flush=True)
        except RefusedCheckpoint as error:
            print("refused" if len(str(error)) < 1000 else "refused in too many words", flush=True)
    """
    line = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), str(len(BOMBS))]
    done = subprocess.run(line, capture_output=True, text=True)
    assert dict(zip(BOMBS, done.stdout.split("\n"), strict=False)) == dict.fromkeys(BOMBS, "refused"), done.stderr[
        -500:
    ]


def test_views_far_beyond_the_file_are_refused() -> None:
    """Every tensor is legal by itself; written out, all of them would fill the memory."""
    one = p.tensor("FloatStorage", "0", 1, [1 << 24], [0])
    data = p.whole(b"}(" + b"".join(p.text(str(i)) + one for i in range(100)) + b"u")
    path = io.BytesIO(p.zipped(data, {"archive/data/0": b"\0" * 4}))
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.pt").write_bytes(path.getvalue())
        with pytest.raises(RefusedCheckpoint, match="over and over"):
            load_tensors(Path(folder) / "x.pt")


def test_old_files_cannot_declare_storages_without_end(tmp_path: Path) -> None:
    size = 1000
    many = b"(" + b"".join(p.tensor("FloatStorage", str(i), size, [size], [1]) for i in range(1000)) + b"t"
    (tmp_path / "x.pt").write_bytes(p.legacy(p.whole(many), [str(i) for i in range(1000)]))
    with pytest.raises(RefusedCheckpoint, match="cut off or damaged"):
        load_checkpoint(tmp_path / "x.pt")


def saved(new: bool) -> bytes:
    out = io.BytesIO()
    torch.save({"a": torch.arange(5000.0), "b": torch.ones(3)}, out, _use_new_zipfile_serialization=new)
    return out.getvalue()


WHOLE: dict[str, Callable[[], bytes]] = {
    "torch": lambda: saved(True),
    "old torch": lambda: saved(False),
    "safetensors": lambda: save_safetensors({"a": torch.arange(5000.0)}),
}


@pytest.mark.parametrize("form", WHOLE)
def test_a_cut_off_file_is_said_to_be_cut_off(form: str, tmp_path: Path) -> None:
    raw = WHOLE[form]()
    dice = random.Random(3)
    path = tmp_path / f"x.{form}"
    for share in [0.001, 0.5, 0.99, *(dice.random() for _ in range(30))]:
        path.write_bytes(raw[: max(16, int(share * len(raw)))])
        with pytest.raises(RefusedCheckpoint) as caught:
            load_tensors(path)
        assert "cut off" in str(caught.value) and "fetch it again" in str(caught.value)
        assert "Traceback" not in str(caught.value) and len(str(caught.value)) < 500


def varint(n: int) -> bytes:
    out = b""
    n &= (1 << 64) - 1
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(dims: list[int], kind: int = 1, *, name: bytes = b"w", raw: bytes = b"", more: bytes = b"") -> bytes:
    return b"".join(field(1, d) for d in dims) + field(2, kind) + field(8, name) + field(9, raw) + more


def node(operator: bytes, inputs: list[bytes], output: bytes, attributes: bytes = b"") -> bytes:
    return b"".join(field(1, i) for i in inputs) + field(2, output) + field(4, operator) + attributes


def model(graph: bytes) -> bytes:
    return field(1, 8) + field(7, graph) + field(8, field(1, b"") + field(2, 13))


def value_info(name: bytes) -> bytes:
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, field(1, field(1, 2)))))


def adding(weights: bytes = b"", nodes: bytes = b"") -> bytes:
    """y = x + w."""
    w = weights or tensor([2], raw=np.ones(2, np.float32).tobytes())
    graph = nodes + field(1, node(b"Add", [b"x", b"w"], b"y")) + field(2, b"g") + field(5, w)
    return model(graph + field(11, value_info(b"x")) + field(12, value_info(b"y")))


OUTSIDE = field(13, field(1, b"location") + field(2, b"secret.bin")) + field(14, 1)
SHAPE = np.array([1 << 20, 1 << 20], np.int64).tobytes()
ONNX_BOMBS = {
    "external data": (adding(tensor([2], more=OUTSIDE)), "other files"),
    "external data without the flag": (adding(tensor([2], raw=b"\0" * 8, more=field(13, field(1, b"location")))), "other files"),
    "external data in a Constant": (
        adding(nodes=field(1, node(b"Constant", [], b"c", field(5, field(1, b"value") + field(5, tensor([2], more=OUTSIDE)))))), "other files",
    ),
    "external data in a subgraph": (
        adding(nodes=field(1, node(b"If", [b"c"], b"i", field(5, field(1, b"then_branch") + field(6, field(5, tensor([2], more=OUTSIDE))))))),
        "other files",
    ),
    "huge initializer": (adding(tensor([1 << 40], raw=b"\0" * 8)), "1099511627776 numbers"),
    "negative side": (adding(tensor([-1], raw=b"\0" * 8)), "a side of -1"),
    "ConstantOfShape": (
        adding(nodes=field(1, node(b"ConstantOfShape", [b"s"], b"h")) + field(5, tensor([2], 7, name=b"s", raw=SHAPE))), "ConstantOfShape",
    ),
    "Expand of a Constant": (
        adding(nodes=field(1, node(b"Constant", [], b"s", field(5, field(1, b"value") + field(5, tensor([2], 7, raw=SHAPE)))))
        + field(1, node(b"Expand", [b"w", b"s"], b"h"))), "Expand",
    ),
    "RandomNormal": (adding(nodes=field(1, node(b"RandomNormal", [], b"h", field(5, field(1, b"shape") + field(8, 1 << 20) + field(8, 1 << 20))))), "RandomNormal"),
    "sparse tensor": (adding(nodes=field(15, field(3, 1 << 20) + field(3, 1 << 20))), "sparse"),
}  # fmt: skip


@pytest.mark.parametrize("case", ONNX_BOMBS)
def test_onnx_files_that_ask_for_too_much_are_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, words = ONNX_BOMBS[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(b"\0" * 8)
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(RefusedCheckpoint, match=words):
        onnx_session(tmp_path / "x.onnx")


def test_the_same_network_without_the_bomb_runs(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(adding())
    out = onnx_session(tmp_path / "x.onnx").run(None, {"x": np.array([1, 2], np.float32)})
    assert out[0].tolist() == [2.0, 3.0]
    for length in (0, 3, 20, len(adding()) - 1):
        (tmp_path / "y.onnx").write_bytes(adding()[:length])
        with pytest.raises(RefusedCheckpoint, match=r"cut off|empty|damaged"):
            onnx_session(tmp_path / "y.onnx")

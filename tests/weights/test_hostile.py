"""Checkpoints that try to do something are refused by the name of what they asked for, and nothing ran."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import pickles as p

from lipsync_eval.errors import RefusedCheckpoint, WeightsError
from lipsync_eval.weights import load_checkpoint, load_tensors

MARKER = "it-ran"


def touch() -> str:
    return f"touch {MARKER}"


def write() -> str:
    return f"open({MARKER!r}, 'w').close()"


def torch_saved(thing: object, **options: object) -> bytes:
    out = io.BytesIO()
    torch.save(thing, out, **options)
    return out.getvalue()


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        data = pickle.dumps(p.Calls(os.system, touch()))
        info = tarfile.TarInfo("pickle")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def nested() -> bytes:
    module = p.name("builtins", "__import__") + b"(" + p.text("os") + b"tR"
    function = p.name("builtins", "getattr") + b"(" + module + p.text("system") + b"tR"
    return p.whole(function + b"(" + p.text(touch()) + b"tR")


def overlapping() -> bytes:
    """A zip file whose directory names one megabyte of data twenty times."""
    raw = bytearray(p.zipped(p.whole(b"}"), {"archive/data/0": b"\0" * 1_000_000}))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        start = archive.start_dir
    directory = bytes(raw[start : raw.rindex(b"PK\x05\x06")])
    entry = directory[directory.index(b"PK\x01\x02", 4) :]
    more = b"".join(entry.replace(b"data/0", f"data/{chr(97 + i)}".encode()) for i in range(20))
    end = bytearray(raw[raw.rindex(b"PK\x05\x06") :])
    end[8:20] = struct.pack("<HHII", 22, 22, len(directory) + len(more), start)
    return bytes(raw[:start]) + directory + more + bytes(end)


def keyed_bomb() -> bytes:
    """A dictionary key of 200 nested pairs of one tuple: hashing it takes 2**200 steps."""
    return p.whole(b"}" + b")" + b"2\x86" * 200 + b"Ns")


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "os.system, plain pickle": (lambda: pickle.dumps(p.Calls(os.system, touch())), "os.system"),
    "os.system, torch file": (lambda: torch_saved({"a": p.Calls(os.system, touch())}), "os.system"),
    "os.system, old torch file": (
        lambda: torch_saved([p.Calls(os.system, touch())], _use_new_zipfile_serialization=False),
        "os.system",
    ),
    "builtins.eval": (lambda: torch_saved(p.Calls(eval, write())), "builtins.eval"),
    "builtins.exec, protocol 0": (lambda: pickle.dumps(p.Calls(exec, write()), protocol=0), "builtins.exec"),
    "subprocess.Popen": (lambda: torch_saved(p.Calls(subprocess.Popen, ["touch", MARKER])), "subprocess.Popen"),
    "nested reduce": (nested, "builtins.getattr"),
    "nested reduce on allowed names": (
        lambda: p.zipped(p.whole(p.name("argparse", "Namespace") + b")R" + b"(" + p.text(touch()) + b"tR")),
        "result of another call or a value (argparse.Namespace)",
    ),
    "method of an allowed class": (
        lambda: p.whole(p.name("pathlib", "PosixPath.unlink") + b"(" + p.text("x") + b"tR"),
        "PosixPath.unlink",
    ),
    "huge bytearray": (
        lambda: p.zipped(p.whole(p.name("builtins", "bytearray") + b"(" + p.integer(10**13) + b"tR")),
        "builtins.bytearray",
    ),
    "huge view": (
        lambda: p.zipped(p.whole(p.tensor("FloatStorage", "0", 1, [1 << 40], [0])), {"archive/data/0": b"\0" * 4}),
        "(1099511627776,)",
    ),
    "huge storage": (
        lambda: p.zipped(p.whole(p.tensor("FloatStorage", "0", 1 << 40, [1], [1])), {"archive/data/0": b"\0" * 4}),
        "1099511627776",
    ),
    "huge storage, old file": (
        lambda: p.legacy(p.whole(p.tensor("FloatStorage", "0", 1 << 40, [1], [1])), ["0"]),
        "1099511627776",
    ),
    "view beyond its storage": (
        lambda: p.zipped(p.whole(p.tensor("FloatStorage", "0", 1, [2], [1])), {"archive/data/0": b"\0" * 4}),
        "beyond its storage",
    ),
    "negative stride": (
        lambda: p.zipped(p.whole(p.tensor("FloatStorage", "0", 1, [2], [-1])), {"archive/data/0": b"\0" * 4}),
        "(-1,)",
    ),
    "persistent id that is no storage": (lambda: p.zipped(p.whole(p.text("/etc/passwd") + b"Q")), "no storage (str)"),
    "storage of a foreign class": (lambda: p.zipped(p.whole(p.storage("system", "0", 1, module="os"))), "os.system"),
    "storage out of the file": (
        lambda: p.zipped(p.whole(p.storage("FloatStorage", "../../../etc/passwd", 1))),
        "../../../etc/passwd",
    ),
    "state set on a name": (
        lambda: p.zipped(p.whole(p.name("argparse", "Namespace") + b"}b")),
        "state of a argparse.Namespace",
    ),
    "state set on a dictionary": (lambda: p.zipped(p.whole(b"}}b")), "state of a dict"),
    "nested torch.load": (
        lambda: torch_saved(p.Calls(torch.storage._load_from_bytes, pickle.dumps(p.Calls(os.system, touch())))),
        "torch.storage._load_from_bytes",
    ),
    "numpy array of objects": (
        lambda: torch_saved(np.array([p.Calls(os.system, touch())], object)),
        "multiarray._reconstruct",
    ),
    "numpy scalar of an object": (
        lambda: p.whole(p.name("numpy", "dtype") + b"(" + p.text("O8") + b"\x89\x88tR"),
        "numpy.dtype('O8')",
    ),
    "copyreg extension": (lambda: p.whole(b"\x82\x01"), "EXT1"),
    "INST opcode": (lambda: b"(S'" + touch().encode() + b"'\nios\nsystem\n.", "opcode"),
    "dictionary key bomb": (keyed_bomb, "tuple as a dictionary key"),
    "codec that is no codec": (
        lambda: p.whole(p.name("_codecs", "encode") + b"(" + p.text("x") + p.text("zip") + b"tR"),
        "_codecs.encode",
    ),
    "zip bomb": (lambda: p.zipped(p.whole(b"N"), {"archive/data/0": b"\0" * 50_000_000}, compress=True), "compressed"),
    "overlapping zip entries": (overlapping, "overlap"),
    "old tar file": (tar, "no pickle of tensors"),
    "bytes of a forged length": (lambda: p.whole(b"\x8e" + struct.pack("<Q", 1 << 62) + b"x"), "no pickle of tensors"),
    "web page": (lambda: b"<!DOCTYPE html><html>404</html>", "no pickle of tensors"),
    "empty file": (lambda: b"", "no pickle of tensors"),
    "safetensors of a forged length": (lambda: struct.pack("<Q", 1 << 50) + b'{"a":1}', "safetensors"),
    "two data.pkl": (lambda: p.zipped(p.whole(b"N"), {"other/data.pkl": p.whole(b"N")}), "exactly one data.pkl"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_refused_by_name_and_nothing_ran(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, asked = HOSTILE[case]
    path = tmp_path / "hostile.pt"
    path.write_bytes(make())
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    tracemalloc.start()
    try:
        for load in (load_checkpoint, load_tensors):
            with pytest.raises(RefusedCheckpoint) as caught:
                load(path)
            assert asked in str(caught.value)
            assert "hostile.pt" in str(caught.value)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert sorted(tmp_path.iterdir()) == before
    assert peak < 120_000_000


@pytest.mark.parametrize("case", ["os.system, plain pickle", "nested reduce", "builtins.exec, protocol 0"])
def test_the_payloads_are_live(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes do run in Python's own unpickler: the tests above are not shooting blanks."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(HOSTILE[case][0]())
    assert (tmp_path / MARKER).exists()


SHARED = b"".join(b"]q" + bytes([i + 1]) + b"(h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(1, 100))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(p.whole(b"Nr\xff\xff\xff\x7f"), id="memo index of two thousand million"),
        pytest.param(p.whole(b"]" * 50_000 + b"a" * 49_999), id="fifty thousand lists in each other"),
        pytest.param(p.whole(b"]q\x01" + SHARED), id="a hundred lists, each twice in the next"),
    ],
)
def test_bombs_that_ask_for_nothing_cost_nothing(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(p.zipped(data))
    tracemalloc.start()
    try:
        load_checkpoint(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 60_000_000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    with pytest.raises(WeightsError):
        load_tensors(path)


@pytest.mark.parametrize("new", [True, False])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.integers(0, 60))
def test_damaged_files_load_or_are_refused(place: int, value: int, cut: int, new: bool, tmp_path: Path) -> None:
    """One byte changed and the end cut off: a mapping of tensors or RefusedCheckpoint, nothing else."""
    raw = bytearray(
        torch_saved(
            {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2, dtype=torch.int64)},
            _use_new_zipfile_serialization=new,
        )
    )
    raw[place % len(raw)] = value
    path = tmp_path / "x.pt"
    path.write_bytes(bytes(raw[: len(raw) - cut]))
    try:
        found = load_tensors(path)
    except WeightsError:
        return
    assert all(isinstance(t, torch.Tensor) for t in found.values())

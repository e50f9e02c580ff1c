"""Good checkpoints load, whatever wrote them; bad fits name the first differing key."""

from __future__ import annotations

import argparse
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support import pickles as p
from torch import nn

from lipsync_eval.errors import RefusedCheckpoint, WeightsError
from lipsync_eval.weights import Stub, fit, load_checkpoint, load_tensors, onnx_session

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]


def tensors() -> dict[str, torch.Tensor]:
    made = {str(dtype): (torch.arange(12).reshape(3, 4) % 2).to(dtype) for dtype in DTYPES}
    made["transposed"] = torch.arange(6.0).reshape(2, 3).T
    made["part of a storage"] = torch.arange(100.0)[10:20:3]
    made["overlapping"] = torch.arange(10.0).as_strided((4, 4), (1, 2), 0)
    made["empty"] = torch.zeros(0, 3)
    made["scalar"] = torch.tensor(3.5)
    return made


@pytest.mark.parametrize("new", [True, False])
def test_tensors_come_back_as_they_were(new: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(tensors(), path, _use_new_zipfile_serialization=new)
    found = load_tensors(path)
    assert list(found) == list(tensors())
    for key, wanted in tensors().items():
        assert found[key].dtype == wanted.dtype and found[key].shape == wanted.shape
        assert torch.equal(found[key], wanted), key


@pytest.mark.parametrize("new", [True, False])
def test_same_as_torch_load(new: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.PReLU(8))
    torch.save({"state_dict": net.state_dict(), "epoch": 3, "args": None}, path, _use_new_zipfile_serialization=new)
    wanted = torch.load(path, weights_only=True)["state_dict"]
    found = load_tensors(path)
    assert list(found) == list(wanted) and all(torch.equal(found[k], wanted[k]) for k in wanted)


def test_safetensors(tmp_path: Path) -> None:
    made = {k: v.contiguous() for k, v in tensors().items() if k != "overlapping"}
    save_file(made, tmp_path / "x.safetensors")
    found = load_tensors(tmp_path / "x.safetensors")
    assert all(torch.equal(found[k], v) for k, v in made.items())


def test_parameters_and_plain_containers(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    held = {
        "p": nn.Parameter(torch.ones(2)),
        "od": OrderedDict(a=1),
        "dd": defaultdict(list, {"b": [1.5, None, True]}),
        "set": {1, 2},
        "tuple": ("x", b"y", -(1 << 70)),
        "numpy number": np.float64(0.25),
        "size": torch.Size([2, 3]),
        "device": torch.device("cpu"),
    }
    torch.save(held, path)
    found = load_checkpoint(path)
    assert isinstance(found, dict)
    assert torch.equal(found["p"], torch.ones(2))
    assert found["od"] == {"a": 1} and found["dd"] == {"b": [1.5, None, True]} and found["set"] == {1, 2}
    assert found["tuple"] == ("x", b"y", -(1 << 70)) and found["numpy number"] == 0.25
    assert found["size"] == (2, 3) and found["device"] == "cpu"


def test_other_classes_become_inert_stubs(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(lr=0.1, path=Path("a/b")), "w": torch.ones(1)}, tmp_path / "x.pt")
    found = load_checkpoint(tmp_path / "x.pt")
    assert isinstance(found, dict)
    args = found["args"]
    assert isinstance(args, Stub) and args.name == "argparse.Namespace"
    assert args.state["lr"] == 0.1 and Path(*args.state["path"].args) == Path("a/b")


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
def test_paths_of_every_python_become_stubs(tmp_path: Path, module: str) -> None:
    """Python 3.13 calls its classes of paths pathlib._local.PosixPath, the others pathlib.PosixPath."""
    path = p.name(module, "PosixPath") + b"(" + p.text("a") + p.text("b") + b"tR"
    (tmp_path / "x.pt").write_bytes(p.zipped(p.whole(path)))
    found = load_checkpoint(tmp_path / "x.pt")
    assert isinstance(found, Stub) and found.name == f"{module}.PosixPath" and found.args == ("a", "b")


def test_torchscript_modules_give_dotted_names(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4)))
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(net.eval()), tmp_path / "x.pt")
    found = load_tensors(tmp_path / "x.pt")
    for key, wanted in net.state_dict().items():
        assert torch.equal(found[key], wanted)


def test_compressed_copy_is_refused(tmp_path: Path) -> None:
    import zipfile

    torch.save({"a": torch.zeros(1000)}, tmp_path / "x.pt")
    with (
        zipfile.ZipFile(tmp_path / "x.pt") as old,
        zipfile.ZipFile(tmp_path / "y.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    with pytest.raises(RefusedCheckpoint, match="compressed"):
        load_tensors(tmp_path / "y.pt")


def test_no_mapping_of_tensors_says_what_there_is(tmp_path: Path) -> None:
    torch.save({"encoder": {"w": torch.zeros(1)}, "iter": 3}, tmp_path / "x.pt")
    with pytest.raises(RefusedCheckpoint, match=r"it holds: encoder, iter"):
        load_tensors(tmp_path / "x.pt")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        load_tensors(tmp_path / "none.pt")


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_fit_copies_everything() -> None:
    source, target = small(), small()
    fit(target, source.state_dict(), source="x")
    assert all(
        torch.equal(a, b) for a, b in zip(source.state_dict().values(), target.state_dict().values(), strict=True)
    )


def test_fit_takes_half_precision_and_a_missing_counter() -> None:
    state = {k: v.half() if v.is_floating_point() else v for k, v in small().state_dict().items()}
    del state["1.num_batches_tracked"]
    fit(small(), state, source="x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("0.bias"), r"x does not fit the network: at '0.bias' expected \(3,\) float32, found nothing"),
        (
            lambda s: s.update({"0.weight": torch.zeros(3, 4)}),
            r"at '0.weight' expected \(3, 2\) float32, found \(3, 4\) float32",
        ),
        (
            lambda s: s.update({"0.bias": torch.zeros(3, dtype=torch.int64)}),
            r"at '0.bias' expected \(3,\) float32, found \(3,\) int64",
        ),
        (lambda s: s.update({"2.weight": torch.zeros(1)}), r"at '2.weight' expected nothing, found \(1,\) float32"),
        (lambda s: (s.pop("1.weight"), s.pop("0.bias")), "at '0.bias'"),
        (
            lambda s: s.update({"0.bias": torch.tensor([0.0, float("nan"), 1.0])}),
            "at '0.bias' expected finite numbers, found nan or inf among them",
        ),
    ],
)
def test_fit_names_the_first_difference(change: object, message: str) -> None:
    state = dict(small().state_dict())
    change(state)  # type: ignore[operator]
    with pytest.raises(RefusedCheckpoint, match=message):
        fit(small(), state, source="x")


def test_onnx_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"not a model")
    with pytest.raises(RefusedCheckpoint, match=r"x\.onnx is refused"):
        onnx_session(tmp_path / "x.onnx")


def test_onnx_runs(data: Path) -> None:
    session = onnx_session(data / "weights" / "mobilefacenet_arcface_foamliu.onnx")
    out = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, 112, 112), np.float32)})
    assert out[0].shape == (1, 128) and np.isfinite(out[0]).all()


@pytest.mark.parametrize(
    "name",
    [
        "A_finetuned/avhubert_tiny_finetuned_omegaconf.pt",
        "A_finetuned/avhubert_tiny_finetuned_namespace.pt",
        "B_pretrained/avhubert_tiny_pretrained.pt",
    ],
)
def test_official_formats(name: str, data: Path) -> None:
    """Files written by fairseq: omegaconf and Namespace objects, overlapping views."""
    found = load_checkpoint(data / "golden" / "avhubert" / name)
    assert isinstance(found, dict) and all(isinstance(v, torch.Tensor) for v in found["model"].values())
    assert isinstance(found["cfg"], Stub if "omegaconf" in name else dict)


def test_diffposetalk_format(data: Path) -> None:
    found = load_checkpoint(data / "golden" / "style_encoder" / "case2_nohead_51_iter_0034000.pt")
    assert isinstance(found, dict) and isinstance(found["args"], Stub) and found["iter"] == 34000


def test_views_of_one_storage_stay_so(tmp_path: Path) -> None:
    """Two tensors of one storage stay views of one storage, as in torch."""
    base = torch.zeros(4)
    torch.save({"a": base[:2], "b": base[1:3]}, tmp_path / "x.pt")
    found = load_tensors(tmp_path / "x.pt")
    found["a"][1] = 7.0
    assert found["b"][0] == 7.0

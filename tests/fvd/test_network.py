"""I3D and r3d_18, and what is done to frames before them, against the public codes' numbers (seeded weights)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden.synthetic_inputs import clip, crc
from support.perception import filled, golden

from lipsync_eval.errors import InputError, RefusedCheckpoint, UsageError
from lipsync_eval.features import i3d, r3d18
from lipsync_eval.features.i3d import I3D
from lipsync_eval.features.r3d18 import R3D18
from lipsync_eval.metrics.fvd.prepare import cut_box, prepare, small
from lipsync_eval.weights import fit, load_tensors

CASES = ("fvd/case1_16f_96x128", "fvd/case2_25f_180x140")


def seeded(seed: int, digest: str) -> I3D:
    net = I3D()
    fit(net, filled(net.state_dict(), seed, digest), source="golden")
    return net.eval()


def close(found: torch.Tensor, wanted: np.ndarray, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


def clips(case: str) -> list[np.ndarray]:
    g = golden(case)
    found = [clip(int(s), *map(int, g["clip_shape"][:3])) for s in g["clip_seeds"]]
    assert crc(np.stack(found)) == g["clips_crc32"]
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("code", "resize"), [("videogpt", "crop"), ("styleganv", "crop"), ("cdfvd", "stretch")])
def test_preprocessing(case: str, code: str, resize: str) -> None:
    found = torch.stack([prepare(list(c), resize, "pm1") for c in clips(case)])
    np.testing.assert_allclose(found[:, :, ::5, ::28, ::28], golden(case)[f"prep_{code}"], atol=2e-6)
    np.testing.assert_allclose(found.double().mean((2, 3, 4)), golden(case)[f"prep_{code}_mean"], atol=2e-6)


@pytest.mark.parametrize(
    ("case", "code", "resize", "which"), [(CASES[0], "videogpt", "crop", 0), (CASES[0], "cdfvd", "stretch", 1)]
)
def test_logits(case: str, code: str, resize: str, which: int) -> None:
    g = golden(case)
    net = seeded(int(g["weights_seed"]), str(g["weights_digest"]))
    assert len(net.state_dict()) == g["n_keys"]
    with torch.inference_mode():
        found = net(prepare(list(clips(case)[which]), resize, "pm1")[None])[0]
    close(found, g[f"logits_{code}"][which])
    if code == "videogpt":
        close(found, g["logits_styleganv_prep"][which])
        close(found.double(), g["logits_videogpt_f64_first"][0])


@pytest.mark.slow
@pytest.mark.parametrize(("code", "resize"), [("videogpt", "crop"), ("cdfvd", "stretch")])
def test_logits_of_longer_clips(code: str, resize: str) -> None:
    g = golden(CASES[1])
    net = seeded(int(g["weights_seed"]), str(g["weights_digest"]))
    with torch.inference_mode():
        found = torch.cat([net(prepare(list(c), resize, "pm1")[None]) for c in clips(CASES[1])])
    close(found, g[f"logits_{code}"])


def test_latentsync() -> None:
    g = golden("fvd/case3_latentsync")
    frames = clip(int(g["clip_seed"]), *map(int, g["clip_shape"][:3]))
    assert crc(frames) == g["clip_crc32"]
    height, width = frames.shape[1:3]
    x, y, w, h = g["relative_box"] * [width, height, width, height]
    faces = [cut_box(frame, np.array([x, y, x + w, y + h])) for frame in frames[20:36]]
    shrunk = np.stack([small(face, "area") for face in faces])
    np.testing.assert_allclose(shrunk[::5, ::16, ::16].astype(int), g["faces_sub"].astype(int), atol=1)
    found = prepare(faces, "area", "unit")[None]
    np.testing.assert_allclose(found[:, :, ::5, ::28, ::28], g["prep_sub"], atol=1.5 / 255)
    np.testing.assert_allclose([found.min(), found.max()], g["prep_min_max"], atol=1.5 / 255)
    net = seeded(int(g["weights_seed"]), str(g["weights_digest"]))
    with torch.inference_mode():
        close(net(found), g["logits"])


def test_r3d18() -> None:
    g = golden("r3d18/case1_10f_90x120")
    frames = clip(int(g["clip_seed"]), *map(int, g["clip_shape"][:3]))
    assert crc(frames) == g["clip_crc32"]
    net = R3D18()
    published = net.state_dict() | {"fc.weight": torch.zeros(400, 512), "fc.bias": torch.zeros(400)}
    assert len(published) == g["n_keys"]
    fit(net, r3d18.state(filled(published, int(g["weights_seed"]), str(g["weights_digest"]))), source="golden")
    x = prepare(list(frames), "pillow", "imagenet")[None]
    np.testing.assert_allclose(x[:, :, ::5, ::28, ::28], g["prep_sub"], atol=2e-6)
    with torch.inference_mode():
        close(net.eval()(x[..., ::4, ::4].contiguous()), g["features_10f_every_4th_pixel"])


def hassony(key: str) -> str:
    """One of our names as hassony2/kinetics_i3d_pytorch writes it."""
    branches = {v: k for k, v in i3d._BRANCHES.items()}
    for ours, theirs in branches.items():
        key = key.replace(f".{ours}.", f".branch_{theirs}.")
    key = key.replace(".bn.", ".batch3d.").replace("logits.", "conv3d_0c_1x1.")
    return key[0].lower() + key[1:]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_names_of_published_files(tmp_path: Path) -> None:
    """Other ports' names, TorchScript's container, no scale in the batch norms (as the TensorFlow graph)."""
    net = I3D(eps=1e-3)
    wanted = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert i3d.state({hassony(k): v for k, v in wanted.items()}).keys() == wanted.keys()
    assert i3d.state({f"module.{k}": v for k, v in wanted.items()}).keys() == wanted.keys()
    bare = i3d.state({k: v for k, v in wanted.items() if not k.endswith("bn.weight")})
    assert bare.keys() == wanted.keys() and (bare["Mixed_5c.b0.bn.weight"] == 1).all()
    torch.jit.trace(net.eval(), torch.zeros(1, 3, 9, 224, 224), check_trace=False).save(str(tmp_path / "i3d.pt"))
    held = i3d.state(load_tensors(tmp_path / "i3d.pt"))
    again = I3D(eps=1e-3)
    fit(again, held, source="i3d.pt")
    assert all((again.state_dict()[k] == v).all() for k, v in wanted.items())
    with pytest.raises(RefusedCheckpoint, match=r"Conv3d_1a_7x7\.conv3d\.weight"):
        fit(again, i3d.state({"features.0.weight": torch.zeros(2)}), source="other.pt")


def test_wrong_input() -> None:
    frame = np.zeros((30, 40, 3), np.uint8)
    with pytest.raises(InputError, match="T >= 9"):
        I3D()(torch.zeros(1, 3, 8, 224, 224))
    with pytest.raises(InputError, match="uint8"):
        prepare([frame.astype(np.float32)], "crop", "pm1")  # type: ignore[list-item]
    with pytest.raises(InputError, match="uint8"):
        prepare([], "crop", "pm1")
    with pytest.raises(UsageError, match="resize"):
        prepare([frame], "bicubic", "pm1")
    with pytest.raises(UsageError, match="scale"):
        prepare([frame], "crop", "255")
    with pytest.raises(InputError, match="face box"):
        cut_box(frame, np.array([50.0, 0.0, 60.0, 9.0]))

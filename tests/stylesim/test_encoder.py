"""DiffPoseTalk's style encoder against its own numbers, and its released file format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden.synthetic_inputs import crc, motion
from support.perception import GOLDEN, filled, golden

from lipsync_eval.errors import InputError, RefusedCheckpoint
from lipsync_eval.features.style.diffposetalk import load, read_stats
from lipsync_eval.features.style.encoder import StyleEncoder, embed, motion_of, position_vector, windows
from lipsync_eval.features.style.files import Flame

CASES = ["case1_head_54", "case2_nohead_51"]
CHECKPOINT = GOLDEN / "style_encoder" / "case2_nohead_51_iter_0034000.pt"


def encoder(case: str) -> StyleEncoder:
    g = golden(f"style_encoder/{case}")
    net = StyleEncoder(51 if int(g["no_head_pose"]) else 54, int(g["n_layers"]))
    net.load_state_dict(filled(net.state_dict(), int(g["weights_seed"]), str(g["weights_digest"]), gain=1.0))
    return net.eval()


def stats(case: str) -> dict[str, np.ndarray]:
    g = golden(f"style_encoder/{case}")
    return {key.removeprefix("stats_"): g[key] for key in g if key.startswith("stats_")}


def coefficients(case: str) -> Flame:
    a, b = (int(s) for s in golden(f"style_encoder/{case}")["extract_seeds_exp_pose"])
    return Flame(motion(a, 130, 50), np.float32(0.1) * motion(b, 130, 6))


@pytest.fixture
def stats_file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "stats_train.npz", **stats("case2_nohead_51"))
    return tmp_path / "stats_train.npz"


@pytest.mark.parametrize("case", CASES)
def test_embeddings(case: str) -> None:
    g, net = golden(f"style_encoder/{case}"), encoder(case)
    x = np.stack([motion(int(s), int(g["T"]), net.motion_proj.in_features) for s in g["motion_seeds"]])
    assert [crc(m) for m in x] == list(g["motion_crc32"])
    with torch.inference_mode():
        found = net(torch.from_numpy(x)).numpy()
        order = np.random.default_rng(int(g["weights_seed"])).permutation(x.shape[1])
        permuted = net(torch.from_numpy(x[:1, order])).numpy()
    np.testing.assert_allclose(found, g["emb"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(permuted, g["emb_permuted"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(permuted[0], found[0], atol=1e-5, err_msg="the order of frames does not matter")
    np.testing.assert_allclose(position_vector(int(g["T"])).numpy(), g["pe_vector"], atol=1e-5)
    cosine = found[0] @ found[1] / np.linalg.norm(found[0]) / np.linalg.norm(found[1])
    assert cosine == pytest.approx(float(g["cosine"]), abs=1e-5)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("start", [0, 17])
def test_extraction_from_coefficients(case: str, start: int) -> None:
    g, flame = golden(f"style_encoder/{case}"), coefficients(case)
    x = motion_of(flame.exp, flame.pose, stats(case), head=not int(g["no_head_pose"]))[start : start + 100]
    with torch.inference_mode():
        found = encoder(case)(torch.from_numpy(x[None]))[0].numpy()
    np.testing.assert_allclose(found, g[f"extract_start{start}"], rtol=1e-4, atol=1e-5)


def test_the_released_file(stats_file: Path) -> None:
    """A pickle with argparse and pathlib objects, which torch's safe load refuses and ours reads without running it."""
    case = "case2_nohead_51"
    model, flame = load(CHECKPOINT, stats_file), coefficients(case)
    assert not model.head
    first = golden(f"style_encoder/{case}")["extract_start0"].astype(np.float64)
    found = model.style(flame.cut(100))
    np.testing.assert_allclose(found, first / np.linalg.norm(first), rtol=1e-4, atol=1e-5)


def test_long_clips_are_windows_averaged() -> None:
    assert list(windows(100)) == [0] and list(windows(60)) == [0]
    assert list(windows(200)) == [0, 50, 100] and list(windows(219)) == [0, 50, 100, 119]
    net, x = encoder("case2_nohead_51"), motion(5, 219, 51)
    parts = [embed(net, x[s : s + 100]) for s in (0, 50, 100, 119)]
    mean = np.mean(parts, 0)
    np.testing.assert_allclose(embed(net, x), mean / np.linalg.norm(mean), atol=1e-6)
    assert np.linalg.norm(embed(net, x)) == pytest.approx(1)


def test_files_that_are_something_else(tmp_path: Path, stats_file: Path) -> None:
    torch.save({"encoder": {"a": torch.zeros(1)}}, tmp_path / "a.pt")
    with pytest.raises(RefusedCheckpoint, match=r"motion_proj\.weight"):
        load(tmp_path / "a.pt", stats_file)
    torch.save({"encoder": {"motion_proj.weight": torch.zeros(128, 40)}}, tmp_path / "a.pt")
    with pytest.raises(RefusedCheckpoint, match="51"):
        load(tmp_path / "a.pt", stats_file)
    torch.save({"encoder": {"motion_proj.weight": torch.zeros(128, 51)}, "args": {"n_heads": 5}}, tmp_path / "a.pt")
    with pytest.raises(RefusedCheckpoint, match="n_heads=5"):
        load(tmp_path / "a.pt", stats_file)
    np.savez(tmp_path / "s.npz", **(stats("case2_nohead_51") | {"exp_std": np.zeros(50)}))
    with pytest.raises(RefusedCheckpoint, match="positive"):
        read_stats(tmp_path / "s.npz")
    (tmp_path / "s.npz").write_bytes(b"nothing")
    with pytest.raises(RefusedCheckpoint, match=r"stats_train\.npz"):
        read_stats(tmp_path / "s.npz")


def test_wrong_input() -> None:
    with pytest.raises(InputError, match=r"exp \(T, 50\)"):
        motion_of(np.zeros((5, 100)), np.zeros((5, 6)), None, head=False)
    with pytest.raises(InputError, match="NaN"):
        motion_of(np.full((5, 50), np.nan), np.zeros((5, 6)), None, head=False)
    with pytest.raises(InputError, match="51"):
        StyleEncoder(51)(torch.zeros(1, 10, 54))

"""ArcFace alignment and embeddings against insightface's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from golden.synthetic_inputs import crc, image
from hypothesis import given
from hypothesis import strategies as st
from support.perception import filled, golden, write_r18

from lipsync_eval.errors import InputError, RefusedCheckpoint, WeightsError
from lipsync_eval.features.arcface import FaceEmbedder
from lipsync_eval.features.arcface_align import TEMPLATE, align, align_matrix, fit_similarity, five_points
from lipsync_eval.features.iresnet import BLOCKS, IResNet, arch_of
from lipsync_eval.types import Settings
from lipsync_eval.weights import WeightFile, fit, locate


@pytest.mark.parametrize("case", ["case1_r50", "case3_r18"])
def test_embeddings(case: str) -> None:
    g = golden(f"arcface/{case}")
    network = IResNet(str(g["arch"]))
    weights = filled(
        network.state_dict(),
        int(g["weights_seed"]),
        str(g["weights_digest"]),
        gain=float(g["gain"]),
        scale=[(r"^conv1\.weight$", 12)],
    )
    assert arch_of(weights, "golden") == str(g["arch"])
    fit(network, weights, source="golden")
    faces = np.stack([image(int(s), 112, 112) for s in g["image_seeds"]])
    assert crc(faces) == g["images_crc32"]
    with torch.inference_mode():
        found = (
            network.eval()
            .to(memory_format=torch.channels_last)(
                (torch.from_numpy(faces).permute(0, 3, 1, 2).float() - 127.5) / 127.5
            )
            .numpy()
        )
    np.testing.assert_allclose(found, g["embedding"], rtol=1e-3, atol=1e-4)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(unit @ unit.T, g["cosine"], atol=1e-4)


@pytest.mark.parametrize("face", [0, 1, 2])
@pytest.mark.parametrize("size", [112, 128])
def test_alignment(face: int, size: int) -> None:
    g = golden("arcface/case2_align")
    frame = skimage.data.astronaut()
    assert crc(frame) == g["astronaut_crc32"]
    points = g["landmarks5"][face]
    np.testing.assert_allclose(align_matrix(points, size), g[f"p{face}_M_{size}"], atol=1e-4)
    difference = np.abs(align(frame[..., ::-1].copy(), points, size).astype(int) - g[f"p{face}_crop_bgr_{size}"])
    assert difference.max() <= 6 and difference.mean() <= 0.3


@given(
    scale=st.floats(0.1, 20), angle=st.floats(-3.1, 3.1), x=st.floats(-500, 500), y=st.floats(-500, 500),
)  # fmt: skip
def test_a_similarity_is_found_again(scale: float, angle: float, x: float, y: float) -> None:
    wanted = np.array(
        [[scale * np.cos(angle), -scale * np.sin(angle), x], [scale * np.sin(angle), scale * np.cos(angle), y]]
    )
    moved = TEMPLATE @ wanted[:, :2].T + wanted[:, 2]
    np.testing.assert_allclose(fit_similarity(TEMPLATE, moved), wanted, rtol=1e-9, atol=1e-7)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    linear = fit_similarity(TEMPLATE * (-1.0, 1.0), TEMPLATE)[:, :2]
    assert np.linalg.det(linear) > 0


def test_five_points_of_68() -> None:
    points = np.arange(136, dtype=np.float64).reshape(68, 2)
    found = five_points(points)
    np.testing.assert_array_equal(
        found, [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    )
    assert five_points(np.stack([points, points])).shape == (2, 5, 2)


def test_points_that_cannot_be_fitted() -> None:
    with pytest.raises(InputError, match="one place"):
        fit_similarity(np.zeros((5, 2)), TEMPLATE)
    with pytest.raises(InputError, match="finite"):
        fit_similarity(np.full((5, 2), np.nan), TEMPLATE)
    with pytest.raises(InputError, match="multiple of 112 or 128"):
        align_matrix(TEMPLATE, 100)


def test_which_iresnet_a_file_holds() -> None:
    for arch in BLOCKS:
        assert arch_of(IResNet(arch).state_dict() if arch == "iresnet18" else _keys(arch), "x") == arch
    with pytest.raises(RefusedCheckpoint, match="blocks"):
        arch_of(["layer1.0.bn1.weight", "layer2.0.bn1.weight"], "x")


def _keys(arch: str) -> list[str]:
    return [f"layer{stage}.{block}.bn1.weight" for stage, n in enumerate(BLOCKS[arch], 1) for block in range(n)]


class TestEmbedder:
    """A torch checkpoint behind the registry row that it is given for."""

    def embedder(self, tmp_path: Path) -> FaceEmbedder:
        path = write_r18(tmp_path / "backbone.pth")
        return FaceEmbedder(locate(Settings(weights={"w600k_r50": path}), "w600k_r50", role="arcface"))

    def test_units_and_batches(self, tmp_path: Path) -> None:
        embedder = self.embedder(tmp_path)
        faces = np.stack([image(k, 112, 112) for k in range(3)])
        together = embedder(faces)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(np.concatenate([embedder(f[None]) for f in faces]), together, atol=1e-5)
        assert together.dtype == np.float32 and embedder(faces[:0]).shape[0] == 0

    def test_wrong_input(self, tmp_path: Path) -> None:
        embedder = self.embedder(tmp_path)
        with pytest.raises(InputError, match="uint8 RGB"):
            embedder(np.zeros((1, 112, 112, 3), np.float32))
        with pytest.raises(InputError, match="112, 112"):
            embedder(np.zeros((1, 1, 1, 3), np.uint8))

    def test_files_that_are_no_face_network(self, tmp_path: Path, data: Path) -> None:
        torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
        with pytest.raises(RefusedCheckpoint, match="iresnet"):
            FaceEmbedder(WeightFile("w600k_r50", tmp_path / "a.pth", "0" * 64, False))
        (tmp_path / "a.onnx").write_bytes(b"no model")
        with pytest.raises(RefusedCheckpoint, match="onnxruntime"):
            FaceEmbedder(WeightFile("w600k_r50", tmp_path / "a.onnx", "0" * 64, False))
        yunet = data / "weights" / "face_detection_yunet_2023mar_int8bq.onnx"
        with pytest.raises(RefusedCheckpoint, match="no face network"):
            FaceEmbedder(WeightFile("w600k_r50", yunet, "0" * 64, False))
        with pytest.raises(WeightsError, match="role arcface"):
            FaceEmbedder(WeightFile("face_landmarker", tmp_path / "a.onnx", "0" * 64, False))

    def test_onnx_with_a_fixed_batch(self, data: Path) -> None:
        path = data / "weights" / "mobilefacenet_arcface_foamliu.onnx"
        embedder = FaceEmbedder(locate(Settings(weights={"mobilefacenet": path}), "mobilefacenet"))
        faces = np.stack([image(k, 112, 112) for k in range(5)])
        found = embedder(faces)
        assert found.shape == (5, 128)
        np.testing.assert_allclose(np.concatenate([embedder(f[None]) for f in faces]), found, atol=1e-6)

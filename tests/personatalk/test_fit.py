"""Eqs 1 and 2 by hand, what minimising them does, and the Basel face model's provider on a made-up model."""

import numpy as np
import pytest
import torch
from support.faces68 import view

from lipsync_eval.baselines.personatalk.geometry import bfm, points68
from lipsync_eval.baselines.personatalk.geometry.fit import Coefficients, optimise, regular, tempo
from lipsync_eval.baselines.personatalk.geometry.resnet50 import Regressor, load
from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.types import Clip


def test_eq_1_on_three_frames():
    kp = torch.tensor([[[0.0, 0]], [[3.0, 4]], [[3.0, 4]]])
    wanted = torch.zeros(3, 1, 2)
    pose = torch.tensor([[0.0], [1.0], [4.0]])  # second difference 2
    beta = torch.tensor([[0.0, 0.0], [3.0, 0.0], [6.0, 5.0]])  # second difference (0, 5)
    assert float(tempo(kp, wanted, pose, beta)) == pytest.approx(5 + 0.2 * (2 + 5), abs=1e-5)
    assert float(tempo(kp, kp + 7, pose * 0, beta * 0)) == pytest.approx(0, abs=1e-4)


def test_eq_2_on_three_frames():
    initial = Coefficients(torch.tensor([[0.0], [3.0], [6.0]]), torch.zeros(3, 2), torch.zeros(3, 1))
    found = Coefficients(
        torch.tensor([[3.0], [3.0], [5.0]]), torch.tensor([[3.0, 4], [0, 0], [0, 0]]), torch.ones(3, 1)
    )
    assert float(regular(found, initial)) == pytest.approx(2 + 5 + 3, abs=1e-5)


def test_planted_jitter_shrinks_and_planted_movement_stays():
    rng, t = np.random.default_rng(0), torch.arange(40) / 25
    basis = torch.tensor(rng.normal(0, 1, (68, 2)), dtype=torch.float32)
    real = 3 * torch.sin(2 * torch.pi * t)[:, None]
    pose = torch.zeros(40, 2)

    def project(c):
        return 100 + c.beta[:, :, None] * basis + c.pose[:, None]

    noisy = real + torch.tensor(rng.normal(0, 0.5, (40, 1)), dtype=torch.float32)
    initial = Coefficients(torch.zeros(40, 1), noisy, pose)
    found = optimise(initial, project(Coefficients(initial.alpha, real, pose)), project, 150)
    before, after = (noisy - real).std(), (found.beta - real).std()
    assert after < 0.4 * before
    assert np.corrcoef(found.beta[:, 0], real[:, 0])[0, 1] > 0.99


def toy_model(path, rng):
    from scipy.io import savemat

    mean = np.concatenate([points68.topology().mean, rng.normal(0, 0.4, (12, 3))]) * (0.6, -0.6, -0.6)
    mean[:, 2] += np.exp(-(mean[:, 0] ** 2)) * 0.3
    savemat(
        path,
        {
            "meanshape": mean.reshape(1, -1),
            "idBase": rng.normal(0, 0.005, (mean.size, 80)),
            "exBase": rng.normal(0, 0.005, (mean.size, 64)),
            "tri": points68.topology().triangles + 1,
            "keypoints": np.arange(1, 69)[None],
        },
    )
    return bfm.read_model(path)


class Constant:
    """A network that always answers the same."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __call__(self, images):
        assert images.shape[1:] == (3, 224, 224) and images.min() >= 0 and images.max() <= 1
        return self.numbers.expand(len(images), -1)


def test_the_weak_camera_is_near_the_perspective(tmp_path):
    model = toy_model(tmp_path / "BFM_model_front.mat", np.random.default_rng(0))
    pose = np.array([[0.1, -0.2, 0.05, 0.1, -0.05, 0.2]])
    mean = torch.tensor(model.mean[None])
    exact = bfm.project(mean, torch.tensor(pose))[0].numpy()
    camera = bfm.BFM(model, None)._camera(pose)
    near = camera.pose(model.vertices(np.zeros((1, 80)), np.zeros((1, 64))))[0, :, :2]
    assert np.abs(exact - near).max() < 8 and np.abs(exact - near).mean() < 3  # px of 224; depth / distance is 1 / 20


def test_a_clip_is_fitted_to_its_landmarks(tmp_path):
    model = toy_model(tmp_path / "m.mat", np.random.default_rng(0))
    rng = np.random.default_rng(1)
    points = points68.topology().mean[:, :2] * 40 + (100, 80) + rng.normal(0, 1, (6, 68, 2))
    track = view(points, size=(192, 200)).track
    frames = [np.full((192, 200, 3), 99, np.uint8)] * 6
    clip = Clip(tmp_path / "a.mp4", 6, 192, 200, 25.0, "d", None, lambda a, b: iter(frames[a:b]))
    network = Constant(torch.zeros(1, 257))
    plain, tuned = (bfm.BFM(model, network, tuned).fit(clip, track) for tuned in (False, True))
    keypoints = model.keypoints

    def error(face):
        return np.abs(face.camera.pose(face.vertices)[:, keypoints, :2] - points).mean()

    assert plain.vertices.shape == (6, 80, 3) and error(tuned) < error(plain) < 4
    assert tuned.topology == model.topology.digest and "eqs 1 and 2" in bfm.BFM(model, network).description


def test_the_regressor_reads_the_public_layout(tmp_path):
    torch.manual_seed(0)
    net = Regressor().eval()
    assert "final_layers.6.bias" in net.state_dict() and "backbone.layer4.2.conv3.weight" in net.state_dict()
    torch.save({"net_recon": net.state_dict(), "opt_00": {"lr": 1.0}}, tmp_path / "epoch_20.pth")
    image = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        found = load(tmp_path / "epoch_20.pth")(image)
        assert found.shape == (1, 257) and torch.equal(found, net(image))
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(RefusedCheckpoint, match="Deep3DFaceRecon_pytorch"):
        load(tmp_path / "other.pth")
    (tmp_path / "no.mat").write_bytes(b"MATLAB")
    with pytest.raises(RefusedCheckpoint, match=r"BFM_model_front\.mat"):
        bfm.read_model(tmp_path / "no.mat")

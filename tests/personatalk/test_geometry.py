"""Topologies, cameras, the rasteriser, PNCC, smoothing and providers."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.faces68 import clip as face_points
from support.faces68 import view

from lipsync_eval.baselines.personatalk.config import GeometryConfig
from lipsync_eval.baselines.personatalk.geometry import flame, mediapipe, points68
from lipsync_eval.baselines.personatalk.geometry.face import camera_of, filled, load_geometry, unpose
from lipsync_eval.baselines.personatalk.geometry.pncc import colours, lip_mask, pncc
from lipsync_eval.baselines.personatalk.geometry.provider import open_provider
from lipsync_eval.baselines.personatalk.geometry.raster import rasterise
from lipsync_eval.baselines.personatalk.geometry.smoothing import smooth
from lipsync_eval.errors import FaceError, InputError, MissingWeights, ParseError
from lipsync_eval.features.style.files import read_vertices
from lipsync_eval.types import Clip


def by_loop(posed, triangles, values, size):
    """The same picture, pixel by pixel."""
    out = np.zeros((size, size, values.shape[1]), np.float32)
    depth = np.full((size, size), np.inf)
    for a, b, c in triangles:
        corners = posed[[a, b, c]]
        square = np.stack([corners[1, :2] - corners[0, :2], corners[2, :2] - corners[0, :2]], axis=1)
        if abs(np.linalg.det(square)) < 1e-12:
            continue
        for y in range(size):
            for x in range(size):
                s, t = np.linalg.solve(square, np.array([x, y]) - corners[0, :2])
                if s >= -1e-9 and t >= -1e-9 and s + t <= 1 + 1e-9:
                    z = corners[0, 2] + s * (corners[1, 2] - corners[0, 2]) + t * (corners[2, 2] - corners[0, 2])
                    if z < depth[y, x] - 1e-9:
                        depth[y, x] = z
                        out[y, x] = (1 - s - t) * values[a] + s * values[b] + t * values[c]
    return out


def test_a_plane_is_drawn_with_its_own_coordinates():
    posed = np.array([[-1.0, -1, 0], [20, -1, 0], [20, 20, 0], [-1, 20, 0]])
    drawn = rasterise(posed, np.array([[0, 1, 2], [0, 2, 3]]), posed[:, :2], 12)
    y, x = np.mgrid[:12, :12]
    np.testing.assert_allclose(drawn, np.stack([x, y], 2), atol=1e-5)


def test_of_two_crossing_triangles_the_nearer_is_seen():
    posed = np.array([[0.0, 0, 0], [15, 0, 10], [0, 15, 0], [0, 0, 5], [15, 0, 5], [0, 15, 5]])
    values = np.array([[1.0, 0]] * 3 + [[0, 1.0]] * 3)
    drawn = rasterise(posed, np.array([[0, 1, 2], [3, 4, 5]]), values, 16)
    assert drawn[1, 2].tolist() == [1, 0] and drawn[1, 12].tolist() == [0, 1]  # depth 10 x / 15 crosses 5 at x = 7.5
    assert drawn[15, 15].tolist() == [0, 0]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_any_mesh_agrees_with_the_loop(seed):
    rng = np.random.default_rng(seed)
    posed = rng.uniform(-4, 16, (9, 3))
    triangles = rng.permuted(np.tile(np.arange(9), (8, 1)), axis=1)[:, :3]
    values = rng.uniform(size=(9, 3))
    np.testing.assert_allclose(
        rasterise(posed, triangles, values, 12), by_loop(posed, triangles, values, 12), atol=1e-4
    )


def test_rasterise_refuses_what_does_not_belong_together():
    with pytest.raises(InputError, match="rasterise takes"):
        rasterise(np.zeros((4, 2)), np.zeros((1, 3), int), np.zeros((4, 3)), 8)


@pytest.mark.parametrize("topology", [mediapipe.topology(), points68.topology()], ids=lambda t: t.name)
def test_topologies_are_whole(topology):
    low, up = set(topology.low.tolist()), set(topology.up.tolist())
    assert not low & up and low | up == set(range(topology.count))
    assert set(topology.lips.tolist()) <= low and topology.keypoints[27] in up
    eyes = [topology.mean[topology.keypoints[a:b]].mean(0) for a, b in ((36, 42), (42, 48))]
    assert np.linalg.norm(eyes[1] - eyes[0]) == pytest.approx(1, abs=1e-4)
    assert eyes[0][0] < eyes[1][0] and topology.mean[topology.keypoints[8], 1] > 0.5  # x right, y down
    assert topology.openings(topology.mean) >= 0
    drawn = pncc(topology, topology.mean * 20 + (32, 24, 0), 64)
    assert drawn.shape == (3, 64, 64) and drawn.min() >= 0 and drawn.max() <= 1 and (drawn.max(0) > 0).mean() > 0.05
    assert colours(topology).min() == 0


def test_mediapipes_mean_face_is_the_shipped_one():
    topology = mediapipe.topology()
    assert topology.count == 468 and len(topology.triangles) == 852 and topology.digest == "3fd9c9ea"


def test_the_inside_of_an_open_mouth_and_open_eyes_are_holes():
    """As in the Basel Face Model: what no vertex covers has the background's colour, so that an opening is seen at all."""
    topology = mediapipe.topology()
    mean = topology.mean * 40 + (64, 40, 0)
    drawn = pncc(topology, mean, 128).max(0) > 0

    def at(*points):
        x, y = mean[topology.keypoints[list(points)], :2].mean(0).round().astype(int)
        return bool(drawn[y, x])

    assert not at(62, 66) and not at(37, 38, 40, 41) and not at(43, 44, 46, 47)
    assert at(51, 62) and at(57, 66) and at(30) and at(27)  # both lips, nose, bridge


def test_unpose_takes_out_what_pose_put_in():
    topology, rng = mediapipe.topology(), np.random.default_rng(3)
    turned = np.linalg.qr(rng.normal(size=(5, 3, 3)))[0]
    turned *= np.linalg.det(turned)[:, None, None]
    camera = camera_of(
        np.concatenate([rng.uniform(50, 90, (5, 1)), turned.reshape(5, 9), rng.uniform(90, 160, (5, 2))], 1)
    )
    vertices = np.tile(topology.mean, (5, 1, 1))
    vertices[:, topology.low] += rng.normal(0, 0.02, (5, len(topology.low), 3))
    vertices[:, topology.rigid] = topology.mean[topology.rigid]
    back, found = unpose(camera.pose(vertices), topology.mean, topology.rigid)
    np.testing.assert_allclose(back, vertices, atol=1e-6)
    np.testing.assert_allclose(found.pose(back)[..., :2], camera.pose(vertices)[..., :2], atol=1e-6)


def test_a_camera_through_a_crop_is_the_crop_of_its_points():
    rng = np.random.default_rng(1)
    camera = camera_of(np.concatenate([[70.0], np.eye(3).ravel(), [100, 90]])[None])
    a, b = 0.6, 0.3
    matrix = np.array([[[a, -b, 4.0], [b, a, -7.0]]])
    vertices = rng.normal(size=(1, 6, 3))
    inside = camera.seen_through(matrix).pose(vertices)[0, :, :2]
    np.testing.assert_allclose(
        inside, camera.pose(vertices)[0, :, :2] @ matrix[0, :, :2].T + matrix[0, :, 2], atol=1e-9
    )
    half = camera.resized(64, 32).pose(vertices)[0, :, :2]
    np.testing.assert_allclose(half, (camera.pose(vertices)[0, :, :2] + 0.5) / 2 - 0.5)


def test_smoothing_is_the_least_squares_solution_and_keeps_movement():
    rng, t = np.random.default_rng(0), np.arange(60)
    planted = np.sin(2 * np.pi * t / 25)
    jitter = rng.normal(0, 0.1, 60)
    found = smooth((planted + jitter)[:, None], velocity=0.0, curvature=2.0)[:, 0]
    first, second = np.diff(np.eye(60), axis=0), np.diff(np.eye(60), 2, axis=0)
    expected = np.linalg.solve(np.eye(60) + 2 * second.T @ second, planted + jitter)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    full = smooth((planted + jitter)[:, None], 1.0, 0.2)[:, 0]
    matrix = np.eye(60) + first.T @ first
    np.testing.assert_allclose(
        full, np.linalg.solve(matrix + 0.2 * second.T @ second, matrix @ (planted + jitter)), atol=1e-9
    )
    assert np.std(found - planted) < 0.7 * np.std(jitter)
    assert np.std(np.diff(full, 2)) < 0.95 * np.std(np.diff(planted + jitter, 2))
    assert np.abs(smooth(planted[:, None])[:, 0] - planted).max() < 0.02


def test_lost_frames_are_interpolated():
    found = filled(np.array([[9.0], [0], [9], [4], [9]]), np.array([False, True, False, True, False]))
    assert found[:, 0].tolist() == [0, 0, 2, 4, 4]
    with pytest.raises(FaceError, match="no frame"):
        filled(np.zeros((2, 1)), np.zeros(2, bool))


def fitted(missing=(), smooth_=True, n=12):
    points = face_points(n, missing=missing)
    track = view(points).track
    clip = Clip(None, n, 512, 512, 25.0, "d", None, lambda a, b: iter(()))
    return points, points68.Points68(smooth_).fit(clip, track)


def test_points68_poses_back_onto_the_points(tmp_path):
    points, face = fitted(missing=(4,), smooth_=False)
    posed = face.camera.pose(face.vertices)[:, :, :2]
    np.testing.assert_allclose(posed[face.valid], points[face.valid], atol=1e-6)
    assert not face.valid[4] and face.valid.sum() == 11
    path = tmp_path / "a.vertices.npz"
    face.save(path)
    again = load_geometry(path, points68.topology())
    np.testing.assert_allclose(again.vertices, face.vertices, atol=1e-5)
    held = read_vertices(path, 12)  # what the metric reads
    assert held.has_template and held.index.tolist() == [0, 1, 2, 3, *range(5, 12)]
    with pytest.raises(ParseError, match="vertices of points68"):
        load_geometry(path, mediapipe.topology())
    dataclasses.replace(face, vertices=face.vertices + np.array([0, np.nan, 0])).save(path)
    with pytest.raises(ParseError, match="not finite"):
        load_geometry(path)
    path.write_bytes(b"no")
    with pytest.raises(ParseError, match="personatalk fit"):
        load_geometry(path)


def test_only_the_lower_face_changes():
    _, face = fitted()
    low, up = points68.topology().low, points68.topology().up
    driven = face.with_lower(low, np.full((12, len(low), 3), 0.1))
    np.testing.assert_array_equal(driven.vertices[:, up], face.vertices[:, up])
    np.testing.assert_allclose(driven.vertices[:, low], np.broadcast_to(face.template[low] + 0.1, (12, len(low), 3)))
    assert driven.camera is face.camera


def test_the_lip_mask_covers_both_mouths():
    small, other = np.array([[28.0, 40], [36, 40], [32, 44]]), np.array([[10.0, 40], [14, 40], [12, 44]])
    mask = lip_mask([small, other], 64, 16)
    assert mask[10, 8] > 0.9 and mask[10, 3] > 0.5 and mask[0, 0] == 0 and 0 < mask[8:13].mean() < 1
    assert lip_mask([small], 64, 16)[10, 3] == 0


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"provider": "bfm"}, "BFM_model_front.mat.*--bfm-model"),
        ({"provider": "flame"}, "flame.is.tue.mpg.de.*--flame-model"),
        ({"provider": "flame", "flame_model": "/nowhere.npz"}, "there is no /nowhere.npz"),
    ],
)
def test_missing_files_are_named(config, words):
    with pytest.raises(MissingWeights, match=words):
        open_provider(GeometryConfig(**config))


def test_missing_mediapipe_is_named(monkeypatch):
    monkeypatch.setattr("lipsync_eval.features.blendshapes.find_spec", lambda name: None)
    with pytest.raises(MissingWeights, match="pip install --no-deps mediapipe"):
        open_provider(GeometryConfig())
    assert open_provider(GeometryConfig(), topology_only=True).topology.count == 468


def toy_flame(path, rng):
    keypoints = np.arange(68)
    mean = points68.topology().mean * (1, -1, -1)
    np.savez(
        path,
        v_template=np.concatenate([mean, mean[:4]]),
        shapedirs=rng.normal(0, 0.01, (72, 3, 400)),
        faces=points68.topology().triangles,
        jaw=np.array([0.0, -0.5, 0.0]),
        jaw_weights=np.linspace(0, 1, 72),
        landmarks=keypoints,
    )


def test_flame_reads_coefficients_beside_the_clip(tmp_path):
    rng = np.random.default_rng(0)
    toy_flame(tmp_path / "flame.npz", rng)
    clip = Clip(tmp_path / "a.mp4", 6, 64, 64, 25.0, "d", None, lambda a, b: iter(()))
    provider = open_provider(GeometryConfig(provider="flame", flame_model=tmp_path / "flame.npz"))
    with pytest.raises(Exception, match=r"no a\.flame\.npz"):
        provider.fit(clip, None)
    held = {"exp": np.zeros((6, 50)), "pose": np.zeros((6, 6)), "shape": np.zeros(10)}
    held["pose"][3, 3] = 0.3
    np.savez(tmp_path / "a.flame.npz", **held, scale=np.full(6, 30.0), translation=np.full((6, 2), 32.0))
    face = provider.fit(clip, None)
    np.testing.assert_allclose(face.vertices[0], face.template, atol=1e-9)
    np.testing.assert_allclose(face.template, provider.topology.mean, atol=1e-9)
    assert np.abs(face.vertices[3] - face.vertices[2]).max() > 0.05  # the jaw opened
    place = face.camera.pose(face.vertices)[0, :, :2]
    wanted = 30 * np.concatenate([points68.topology().mean, points68.topology().mean[:4]])[:, :2] + 32
    np.testing.assert_allclose(place, wanted, atol=1e-6)


def test_flames_rotations_are_rotations():
    r = flame.rotations(np.array([[0, 0, np.pi / 2], [0.3, -0.2, 0.9]]))
    np.testing.assert_allclose(r[0], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(r[1] @ r[1].T, np.eye(3), atol=1e-12)

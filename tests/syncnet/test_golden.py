"""The official numbers: MFCC, embeddings, distances, tracks, crops, S3FD."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import python_speech_features
import torch
from golden import seeded_weights, synthetic_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from support import syncnet_official as official

from lipsync_eval.errors import InputError
from lipsync_eval.features import s3fd, s3fd_net
from lipsync_eval.features.mfcc import mfcc, n_columns
from lipsync_eval.features.syncnet import net as syncnet_net
from lipsync_eval.features.syncnet import track_scorer as syncnet
from lipsync_eval.features.syncnet import tracking
from lipsync_eval.features.syncnet.net import Folded

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = ["case1_T60", "case2_T29_lrw", "case3_T20_edge"]
CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def case(name: str) -> tuple[dict[str, np.ndarray], np.ndarray, Folded]:
    """Golden numbers, BGR frames and the network; checksums are compared first."""
    g = dict(np.load(GOLDEN / "syncnet" / f"{name}.npz"))
    seed, bias = int(g["weights_seed"]), float(g["shared_bias"])
    assert seeded_weights.digest(official.seeded_state(seed, bias)) == str(g["weights_digest"])
    frames = synthetic_inputs.clip(int(g["clip_seed"]), int(g["T"]))
    assert synthetic_inputs.crc(frames) == g["clip_crc32"]
    return g, frames, Folded(official.seeded_net(seed, bias), CPU)


@pytest.mark.parametrize("name", CASES)
def test_embeddings_and_distances(name: str, threads: int) -> None:
    g, frames, net = case(name)
    rows = int(g["n_common"]) - 5
    chosen = g["window_index"][::3]
    lip = np.concatenate([net.lip(frames[k : k + 5]) for k in chosen])
    aud = net.audio(mfcc(g["audio"], 0, 4 * (rows - 1) + 20))
    np.testing.assert_allclose(lip, g["lip_emb"][::3], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(aud[chosen], g["aud_emb"][::3], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(lip, axis=1), g["lip_norm"][chosen], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(aud, axis=1), g["aud_norm"], rtol=1e-4)
    scorer = syncnet.TrackScorer(net, g["audio"], len(frames))
    for frame in frames:
        scorer.add(frame)
    distances = scorer.finish()
    np.testing.assert_allclose(distances, g["D"], rtol=1e-4, atol=1e-3)
    found = syncnet.read(distances)
    np.testing.assert_allclose(found.mean, g["mdist"], rtol=1e-4)
    assert found.offset == g["offset"] and int(found.mean.argmin()) == g["minidx"]
    assert found.distance == pytest.approx(float(g["mindist"]), rel=1e-4)
    assert found.confidence == pytest.approx(float(g["conf"]), abs=1e-3)
    np.testing.assert_allclose(found.framewise, g["fconf"], atol=1e-3)


def test_the_official_steps_of_the_tests_are_the_official_ones() -> None:
    """The slow reference that other tests compare with gives the golden numbers itself."""
    g, frames, _ = case(CASES[2])
    offset, confidence, distance, matrix = official.evaluate(
        official.seeded_net(int(g["weights_seed"]), float(g["shared_bias"])), frames, g["audio"]
    )
    assert offset == g["offset"]
    assert (confidence, distance) == pytest.approx((float(g["conf"]), float(g["mindist"])), rel=1e-5)
    np.testing.assert_allclose(matrix, g["D"], rtol=1e-5)


def test_batch_1_equals_batch_n(monkeypatch: pytest.MonkeyPatch) -> None:
    g, frames, net = case(CASES[2])
    found = []
    for rows, audio_rows in ((1, 1), (4, 3), (16, 128)):
        net.rows = rows
        monkeypatch.setattr(syncnet, "_AUDIO_ROWS", audio_rows)
        scorer = syncnet.TrackScorer(net, g["audio"], len(frames))
        for frame in frames:
            scorer.add(frame)
        found.append(scorer.finish())
    np.testing.assert_allclose(found[0], found[2], rtol=1e-5)
    np.testing.assert_allclose(found[1], found[2], rtol=1e-5)


@pytest.mark.parametrize("lead", [3, 0, -4])
def test_a_positive_offset_means_that_the_audio_comes_too_early(lead: int) -> None:
    """What is seen in window i sounds in window i - lead: the documented example (docs/metrics/syncnet.md)."""
    lip = np.random.default_rng(0).standard_normal((60, 1024)).astype(np.float32)
    audio = np.zeros((60 + 30, 1024), np.float32)  # row j is the audio of window j - 15
    for i in range(60):
        if 0 <= i - lead + 15 < len(audio):
            audio[i - lead + 15] = lip[i]
    found = syncnet.read(syncnet.distance_rows(lip, audio))
    assert found.offset == lead and found.distance < found.mean.mean()


@pytest.mark.parametrize("late", [2, 3])
def test_delaying_the_audio_by_n_frames_makes_the_offset_n_lower(late: int) -> None:
    """The same film with its audio n frames later: column k of the distances is column k - n of before."""
    g, frames, net = case(CASES[2])
    sound = np.asarray(g["audio"])
    delayed = np.concatenate([np.zeros(late * 640, np.int16), sound])[: len(sound)]
    before, after = (_distances(net, samples, frames) for samples in (sound, delayed))
    for i in range(len(before)):
        for k in range(late, 31):
            if late <= i + k - 15 < len(before):  # the audio of both is all there
                assert after[i, k] == pytest.approx(before[i, k - late], rel=2e-3), (i, k)


def _distances(net: syncnet.Folded, samples: np.ndarray, frames: np.ndarray) -> np.ndarray:
    scorer = syncnet.TrackScorer(net, samples, len(frames))
    for frame in frames:
        scorer.add(frame)
    return scorer.finish()


@pytest.mark.parametrize("name", CASES)
def test_mfcc_is_that_of_python_speech_features(name: str) -> None:
    g = np.load(GOLDEN / "syncnet" / f"{name}.npz")
    np.testing.assert_allclose(mfcc(g["audio"]), g["mfcc"], rtol=1e-6, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 5000), seed=st.integers(0, 99), quiet=st.booleans(), cut=st.integers(0, 40))
def test_mfcc_of_any_length_in_any_pieces(n: int, seed: int, quiet: bool, cut: int) -> None:
    sound = np.zeros(n, np.int16) if quiet else synthetic_inputs.audio(seed, n)
    with np.errstate(divide="ignore"):
        wanted = python_speech_features.mfcc(sound, 16000).T
    assert n_columns(n) == wanted.shape[1]
    np.testing.assert_allclose(mfcc(sound), wanted, rtol=1e-9, atol=1e-9)
    pieces = np.concatenate([mfcc(sound, 0, cut), mfcc(sound, cut)], axis=1)
    np.testing.assert_allclose(pieces, wanted, rtol=1e-9, atol=1e-9)


def test_mfcc_refuses_floats() -> None:
    with pytest.raises(InputError, match="int16"):
        mfcc(np.zeros(100, np.float32))  # type: ignore[arg-type]


def test_shifting_the_audio_shifts_the_unpadded_columns() -> None:
    """Audio k frames later: column c of a row becomes column c + k, wherever neither looks at padding or at a cut end."""
    g, frames, net = case(CASES[0])
    frames, sound = frames[:40], g["audio"][: 40 * 640]

    def matrix(samples: np.ndarray) -> np.ndarray:
        scorer = syncnet.TrackScorer(net, samples, len(frames))
        for frame in frames:
            scorer.add(frame)
        return scorer.finish()

    plain = matrix(sound)
    rows = len(plain)
    for k in (4, -3):
        none = np.zeros(640 * abs(k), np.int16)
        moved = np.concatenate([none, sound])[: len(sound)] if k > 0 else np.concatenate([sound[-640 * k :], none])
        late = matrix(moved)
        row, column = np.mgrid[:rows, :31]
        heard = row + column - 15  # the audio window that a column hears
        good = (heard > abs(k)) & (heard < rows - abs(k)) & (column + k >= 0) & (column + k < 31)
        assert good.sum() > 400
        np.testing.assert_allclose(late[row[good], column[good] + k], plain[good], atol=1e-3)


def test_one_row_ties_at_the_first_shift() -> None:
    """Six frames: every padded shift has the same distance; the first wins, as upstream."""
    _, frames, net = case(CASES[2])
    scorer = syncnet.TrackScorer(net, np.zeros(640 * 6, np.int16), 6)
    for frame in frames[:6]:
        scorer.add(frame)
    found = syncnet.read(scorer.finish())
    assert found.offset == 15 and found.confidence == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["case1_gaps", "case2_two_faces"])
def test_tracks_smoothing_and_crops(name: str) -> None:
    g = np.load(GOLDEN / "syncnet_tracking" / f"{name}.npz")
    n, (w, h) = int(g["n_frames"]), (int(v) for v in g["frame_wh"])
    faces = [[tuple(row[1:]) for row in g["detections"] if row[0] == i] for i in range(n)]
    found = tracking.link(
        faces, min_track=int(g["min_track"]), min_face=int(g["min_face_size"]), gap=int(g["num_failed_det"])
    )
    assert len(found) == g["n_tracks"]
    frames = synthetic_inputs.clip(int(g["clip_seed"]), n, h, w, waves=3, noise=0)
    assert synthetic_inputs.crc(frames) == g["clip_crc32"]
    for i, track in enumerate(found):
        numbers = g[f"t{i}_frame"]
        assert track.first == numbers[0] and len(track) == len(numbers)
        np.testing.assert_allclose(track.boxes, g[f"t{i}_bbox"], atol=1e-4)
        for mine, key in zip(tracking.smooth(track.boxes), "sxy", strict=True):
            np.testing.assert_allclose(mine, g[f"t{i}_{key}"], atol=1e-4)
        where = tracking.windows(track.boxes)
        np.testing.assert_array_equal(where.pad, g[f"t{i}_pad"])
        slices = np.concatenate([where.rows, where.columns], axis=1) + where.pad[:, None]
        np.testing.assert_array_equal(slices, g[f"t{i}_rows_cols_padded"])
        crops = [tracking.cut(frames[k], where, j) for j, k in enumerate(numbers)]
        means = [crop.reshape(-1, 3).mean(axis=0) for crop in crops if crop is not None]
        np.testing.assert_allclose(means, g[f"t{i}_crop_mean"], atol=0.05)
        if i == 0:
            for j, wanted in zip(g["t0_crop_index"], g["t0_crop_bgr"], strict=True):
                assert np.abs(crops[j].astype(int) - wanted).max() <= 1


def test_s3fd_network_and_detector(threads: int) -> None:
    g = np.load(GOLDEN / "s3fd" / "case1_net_160x120.npz")
    state = official.s3fd_state(int(g["weights_seed"]), float(g["background_bias"]))
    assert seeded_weights.digest(state) == str(g["weights_digest"])
    net = s3fd_net.S3FDNet()
    net.load_state_dict(state)
    h, w = (int(v) for v in g["image_hw"])
    frame = synthetic_inputs.image(int(g["image_seed"]), h, w)
    assert synthetic_inputs.crc(frame) == g["image_crc32"]
    detector = s3fd.S3FD(s3fd.S3FDMaps(net, CPU))
    with torch.inference_mode():
        loc, scores, maps = net(
            torch.from_numpy(frame).permute(2, 0, 1)[None].float() - torch.tensor(s3fd._MEAN)[:, None, None]
        )
    prior = s3fd_net.priors(h, w, maps)
    np.testing.assert_allclose(loc[0], g["loc"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores[0], g["conf_softmax"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(prior, g["priors"], rtol=1e-6)
    np.testing.assert_allclose(
        s3fd.candidates(loc[0].numpy(), scores[0, :, 1].numpy(), prior), g["detect_out"], atol=1e-5
    )
    batch = [frame, frame[::-1].copy(), frame]
    one = detector.detect([frame], scale=float(g["scales"][0]), confidence=float(g["conf_th"]))[0]
    many = detector.detect(batch, scale=float(g["scales"][0]), confidence=float(g["conf_th"]))
    assert one.shape == g["bboxes"].shape
    np.testing.assert_allclose(one, g["bboxes"], atol=1e-2)
    np.testing.assert_allclose(many[0], one, atol=1e-3)
    np.testing.assert_allclose(many[2], one, atol=1e-3)


def test_s3fd_decoding_and_suppression() -> None:
    g = np.load(GOLDEN / "s3fd" / "case2_decode_nms.npz")
    h, w = (int(v) for v in g["input_hw"])
    prior = s3fd_net.priors(h, w, [tuple(m) for m in g["feature_maps"]])
    np.testing.assert_allclose(prior, g["priors"], rtol=1e-6)
    rows = s3fd.candidates(g["loc"], g["face_prob"], prior)
    assert rows.shape == g["detect_out"].shape
    np.testing.assert_allclose(rows, g["detect_out"], atol=1e-6)
    boxes = np.column_stack([rows[:, 1:] * np.float32([w, h, w, h]), rows[:, 0]]).astype(np.float64)
    boxes = boxes[boxes[:, 4] > 0.9]
    kept = boxes[s3fd_net.suppress(boxes[:, :4], boxes[:, 4], 0.1)]
    assert kept.shape == g["final_bboxes"].shape
    np.testing.assert_allclose(kept, g["final_bboxes"], atol=1e-3)
    early = s3fd.candidates(g["loc"], g["face_prob"], prior, lowest=0.9)
    np.testing.assert_allclose(early, rows[rows[:, 0] > 0.9], atol=0)


def test_s3fd_refuses_frames_that_are_too_small() -> None:
    detector = s3fd.S3FD(s3fd.S3FDMaps(s3fd_net.S3FDNet(), CPU))
    with pytest.raises(InputError, match="at least 28 px"):
        detector.detect([np.zeros((108, 120, 3), np.uint8)])
    assert detector.detect([np.zeros((112, 120, 3), np.uint8)], confidence=1.0)[0].shape == (
        0,
        5,
    )  # upstream's limit: 28 px


def test_folding_changes_nothing() -> None:
    """The network that runs equals the one with the official names, with batch norm statistics that are not trivial."""
    net = official.seeded_net()
    frames = synthetic_inputs.clip(5, 6)
    folded = Folded(net, CPU).lip(frames)
    with torch.inference_mode():
        window = torch.from_numpy(frames[1:6]).float().permute(3, 0, 1, 2)[None]
        plain = net.netfclip(net.netcnnlip(window).flatten(1))[0].numpy()
    np.testing.assert_allclose(folded[1], plain, rtol=1e-4, atol=1e-4 * np.abs(plain).max())
    assert len(plain) == syncnet_net.DIMENSION


@pytest.mark.gpu
def test_cuda_equals_cpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    from lipsync_eval.device import pick

    g, frames, net = case(CASES[2])
    there = Folded(official.seeded_net(int(g["weights_seed"]), float(g["shared_bias"])), pick("cuda"))
    np.testing.assert_allclose(there.lip(frames[:10]), net.lip(frames[:10]), rtol=1e-3, atol=1e-2)
    columns = mfcc(g["audio"], 0, 40)
    np.testing.assert_allclose(there.audio(columns), net.audio(columns), rtol=1e-3, atol=1e-2)

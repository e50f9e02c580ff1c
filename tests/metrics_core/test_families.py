"""The families at work on pairs: which frames count, what is noted, what fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from lipsync_eval import ms_ssim, psnr, ssim
from lipsync_eval.batch import Batch
from lipsync_eval.errors import LipsyncError, MetricError
from lipsync_eval.metrics.base import Family, Measurement
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.metrics.lmd import LMD, lmd, lmd_norm
from lipsync_eval.metrics.psnr import PSNR, psnr_pooled, psnr_uint8wrap
from lipsync_eval.metrics.ssim import SSIM
from lipsync_eval.types import FILLED, MISSING, Crop, Pair, Settings, Side


def measure(family: type[Family], pair: Pair, names: Sequence[str] | None = None, length: int = 7) -> Measurement:
    wanted = frozenset(names or (spec.name for spec in family.specs))
    meter = family(Settings(), wanted).start(pair)
    for start in range(0, pair.n_frames, length):
        stop = min(start + length, pair.n_frames)
        meter.update(
            Batch(pair, start, list(pair.gen.clip.frames(start, stop)), list(pair.gt.clip.frames(start, stop)))
        )
    return meter.finish()


def stacks(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    return np.stack(list(pair.gen.clip.frames())), np.stack(list(pair.gt.clip.frames()))


def with_crop(pair: Pair, change: Callable[[Crop], Crop], sides: Sequence[str] = ("gen", "gt")) -> Pair:
    new: dict[str, Side] = {}
    for name in sides:
        side: Side = getattr(pair, name)
        assert side.crop is not None
        new[name] = replace(side, crop=change(side.crop))
    return replace(pair, **new)


def scaled(crop: Crop, factor: float) -> Crop:
    return replace(crop, matrix=crop.matrix * factor, size=(round(crop.size[0] * factor), round(crop.size[1] * factor)))


def test_frame_metrics_are_the_means_of_the_functions() -> None:
    pair = synthetic_pair(9, noise=10)
    gen, gt = stacks(pair)
    found = measure(PSNR, pair)
    np.testing.assert_array_equal(found.frames["psnr"], psnr(gen, gt))
    np.testing.assert_array_equal(found.frames["psnr_uint8wrap"], psnr_uint8wrap(gen, gt))
    assert found.values == {
        "psnr": np.mean(psnr(gen, gt)), "psnr_pooled": pytest.approx(psnr_pooled(gen, gt), rel=1e-12), "psnr_uint8wrap": np.mean(psnr_uint8wrap(gen, gt)),
    }  # fmt: skip
    assert not found.notes and not found.details and not found.failures
    found = measure(SSIM, pair)
    np.testing.assert_array_equal(found.frames["ssim"], ssim(gen, gt))
    np.testing.assert_array_equal(found.frames["ms_ssim"], ms_ssim(gen, gt))
    assert found.values == {"ssim": np.mean(ssim(gen, gt)), "ms_ssim": np.mean(ms_ssim(gen, gt))}


def test_a_clip_against_itself() -> None:
    pair = synthetic_pair(6)
    assert measure(PSNR, pair).values == {"psnr": 100.0, "psnr_pooled": 100.0, "psnr_uint8wrap": 100.0}
    assert measure(PSNR, pair).details == {"psnr_identical_frames": 6}
    assert measure(SSIM, pair).values == {"ssim": 1.0, "ms_ssim": 1.0}
    assert measure(LMD, pair).values == dict.fromkeys(("lmd", "lmd_centered", "lmd_norm", "f_lmd", "lmd_atvg_sum"), 0.0)


def test_more_blur_is_worse_for_every_frame_metric() -> None:
    import cv2

    pair = synthetic_pair(4)
    pictures = list(pair.gt.clip.frames())
    series: list[dict[str, float | None]] = []
    for sigma in (0.0, 1.0, 2.0, 4.0, 8.0):
        blurred = [cv2.GaussianBlur(p, (0, 0), sigma) if sigma else p for p in pictures]
        clip = replace(pair.gen.clip, read=lambda start, stop, b=blurred: iter(b[start:stop]))
        worse = replace(pair, gen=replace(pair.gen, clip=clip))
        series.append(measure(PSNR, worse, ["psnr", "psnr_pooled"]).values | measure(SSIM, worse).values)
    for name in ("psnr", "psnr_pooled", "ssim", "ms_ssim"):
        values = [v[name] for v in series]
        assert values == sorted(values, reverse=True) and len(set(values)) == 5, name


@pytest.mark.parametrize("length", [1, 3, 10])
def test_frames_without_a_crop_are_left_out_and_named(length: int) -> None:
    gone = [0, 4, 5, 9]
    pair = synthetic_pair(10, noise=8, missing=gone)
    kept = np.setdiff1d(np.arange(10), gone)
    gen, gt = (x[kept] for x in stacks(pair))
    for family, values in (
        (PSNR, {"psnr": psnr(gen, gt)}),
        (SSIM, {"ssim": ssim(gen, gt), "ms_ssim": ms_ssim(gen, gt)}),
    ):
        found = measure(family, pair, length=length)
        for name, expected in values.items():
            np.testing.assert_array_equal(found.frames[name][kept], expected)
            assert np.isnan(found.frames[name][gone]).all()
            assert found.values[name] == np.mean(expected)
        assert found.details == {"frames_without_crop_pair": 4}
        assert found.notes == ["4 of 10 frames have no crop in both videos and are left out of image metrics"]


def test_psnr_counts_identical_frames() -> None:
    pair = synthetic_pair(6, noise=8)
    real = list(pair.gt.clip.frames())
    mixed = [real[i] if i in (1, 4) else frame for i, frame in enumerate(pair.gen.clip.frames())]
    clip = replace(pair.gen.clip, read=lambda start, stop: iter(mixed[start:stop]))
    found = measure(PSNR, replace(pair, gen=replace(pair.gen, clip=clip)), ["psnr"])
    assert found.details == {"psnr_identical_frames": 2}
    assert np.flatnonzero(found.frames["psnr"] == 100).tolist() == [1, 4]
    assert set(found.values) == {"psnr"}


def test_small_crops_fail_ms_ssim_alone() -> None:
    found = measure(SSIM, synthetic_pair(4, size=160, noise=8))
    assert found.values["ms_ssim"] is None and "ms_ssim" not in found.frames
    (failure,) = found.failures
    assert (failure.metric, failure.error) == ("ms_ssim", "MetricError")
    assert "at least 161 px on both sides, got 160x160" in failure.message
    assert 0 < (found.values["ssim"] or 0) < 1
    tiny = with_crop(synthetic_pair(4, noise=8), lambda crop: replace(crop, size=(10, 200)))
    found = measure(SSIM, tiny)
    assert found.values == {"ssim": None, "ms_ssim": None} and {f.metric for f in found.failures} == {"ssim", "ms_ssim"}


@pytest.mark.parametrize("family", [PSNR, SSIM])
def test_pairs_without_usable_crops(family: type[Family]) -> None:
    pair = synthetic_pair(4)
    with pytest.raises(MetricError, match="none of the 4 frames has a crop in both videos"):
        measure(family, synthetic_pair(4, missing=range(4)))
    with pytest.raises(MetricError, match="has none"):
        measure(family, replace(pair, gen=replace(pair.gen, crop=None)))
    with pytest.raises(MetricError, match=r"differ in size: \(88, 88\) and \(176, 176\)"):
        measure(family, with_crop(pair, lambda crop: scaled(crop, 0.5), ["gen"]))


def moved(pair: Pair, by: tuple[float, float]) -> Pair:
    assert pair.gt.track is not None
    track = replace(pair.gt.track, points=pair.gt.track.points + np.array(by))
    return replace(pair, gen=replace(pair.gen, track=track))


def test_lmd_of_landmarks_moved_by_4_px() -> None:
    """In the crop at 256: the source may have any size."""
    at_256 = moved(synthetic_pair(5, size=256), (4, 0))
    assert measure(LMD, at_256).values == {
        "lmd": pytest.approx(4.0, rel=1e-12), "lmd_centered": pytest.approx(0, abs=1e-12), "lmd_atvg_sum": pytest.approx(0, abs=1e-11),
        "f_lmd": pytest.approx(4.0, rel=1e-12), "lmd_norm": pytest.approx(4 / (1.12 * 0.4 * 256), rel=1e-9),  # eye corners at -0.56 and 0.56 half widths of the face
    }  # fmt: skip
    at_512 = moved(synthetic_pair(5, size=512), (8, 0))
    assert measure(LMD, at_512).values["lmd"] == pytest.approx(4.0, rel=1e-12)


def test_lmd_does_not_depend_on_the_size_of_the_crop() -> None:
    pair = synthetic_pair(5, jitter=3)
    reference = measure(LMD, pair).values
    for factor in (0.5, 2.0):
        values = measure(LMD, with_crop(pair, lambda crop, factor=factor: scaled(crop, factor))).values
        assert values == {name: pytest.approx(value, rel=1e-9) for name, value in reference.items()}


def test_wide_frames_are_256_on_the_longer_side() -> None:
    pair = moved(synthetic_pair(5, size=128), (4, 0))
    wide = with_crop(pair, lambda crop: replace(crop, size=(128, 512)))
    assert measure(LMD, wide).values["lmd"] == pytest.approx(2.0, rel=1e-12)


def test_lmd_is_the_mean_of_the_function_in_crop_pixels() -> None:
    pair = synthetic_pair(8, jitter=2)
    assert pair.gen.track is not None and pair.gt.track is not None
    found = measure(LMD, pair, ["lmd", "lmd_norm"])
    gen, gt = (track.points * 256 / 176 for track in (pair.gen.track, pair.gt.track))
    np.testing.assert_allclose(found.frames["lmd"], lmd(gen, gt), rtol=1e-12)
    np.testing.assert_allclose(found.frames["lmd_norm"], lmd_norm(gen, gt), rtol=1e-12)
    assert found.values == {"lmd": np.mean(found.frames["lmd"]), "lmd_norm": np.mean(found.frames["lmd_norm"])}
    assert not found.notes and not found.details


def test_interpolated_landmarks_do_not_count() -> None:
    pair = synthetic_pair(8, jitter=2)
    assert pair.gen.track is not None and pair.gt.track is not None
    whole = measure(LMD, pair).frames["lmd"]
    gen, gt = pair.gen.track.status.copy(), pair.gt.track.status.copy()
    gen[2], gt[2:4], gt[6] = FILLED, FILLED, MISSING
    pair = replace(
        pair,
        gen=replace(pair.gen, track=replace(pair.gen.track, status=gen)),
        gt=replace(pair.gt, track=replace(pair.gt.track, status=gt)),
    )
    found = measure(LMD, pair)
    assert np.flatnonzero(np.isnan(found.frames["lmd"])).tolist() == [2, 3, 6]
    assert found.values["lmd"] == np.mean(whole[[0, 1, 4, 5, 7]])
    assert found.details == {"lmd_frames_skipped": 3}
    assert found.notes == [
        "landmark distances leave out 3 of 8 frames without landmarks in both videos (2 of them have interpolated ones only)"
    ]


def test_lmd_without_landmarks() -> None:
    pair = synthetic_pair(4)
    with pytest.raises(MetricError, match="none of the 4 frames has landmarks in both videos"):
        measure(LMD, synthetic_pair(4, missing=range(4)))
    with pytest.raises(MetricError, match="the pair has none"):
        measure(LMD, replace(pair, gt=replace(pair.gt, track=None)))


def test_coinciding_eyes_fail_lmd_norm_alone() -> None:
    pair = synthetic_pair(4, jitter=1)
    assert pair.gt.track is not None
    points = pair.gt.track.points.copy()
    points[:, 45] = points[:, 36]
    found = measure(LMD, replace(pair, gt=replace(pair.gt, track=replace(pair.gt.track, points=points))))
    assert found.values["lmd_norm"] is None and [f.metric for f in found.failures] == ["lmd_norm"]
    assert found.values["lmd"] is not None


@pytest.mark.parametrize("family", [PSNR, SSIM, LMD])
def test_nothing_is_pooled(family: type[Family]) -> None:
    name = family.specs[0].name
    with pytest.raises(LipsyncError, match="not pooled"):
        family(Settings(), frozenset({name})).pool(name, [])

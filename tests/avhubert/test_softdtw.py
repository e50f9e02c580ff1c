"""softdtw_avhubert: the soft-DTW of the features that avs_v compares."""

import numpy as np
import pytest
from support.avhubert import TINY, measure, needs_golden, network, pair

from lipsync_eval.errors import MetricError
from lipsync_eval.features.avhubert import features
from lipsync_eval.metrics.motion.measures.warping import soft_dtw
from lipsync_eval.metrics.motion.timing_avhubert import SoftDtwAvhubert
from lipsync_eval.settings import Settings

NAME = "softdtw_avhubert"
OPTIONS = {"roi": "center88", "softdtw_gamma": "0.01"}


def gray(n, seed):
    """(n, 88, 88) mouths that change slowly."""
    noise = np.random.default_rng(seed).uniform(0, 255, (n + 4, 88, 88))
    return (sum(noise[i : n + i] for i in range(5)) / 5).astype(np.uint8)


def colour(frames):
    return np.repeat(frames[..., None], 3, axis=-1)


def value(gen, gt, **options):
    settings = Settings(weights={"avhubert": TINY}, options=OPTIONS | options, device="cpu")
    family = SoftDtwAvhubert(settings, frozenset({NAME}))
    return measure(family, pair(colour(gen), colour(gt))).values[NAME]


@needs_golden
def test_it_is_the_soft_dtw_of_the_official_features():
    gen, gt = gray(12, 0), gray(12, 1)
    a, b = (features(network(TINY), x).astype(np.float64) for x in (gen, gt))
    assert value(gen, gt) == pytest.approx(soft_dtw(a, b, 0.01) / 12, rel=1e-5)


@needs_golden
def test_late_lips_cost_less_than_wrong_ones():
    gt = gray(16, 0)
    late, wrong = np.concatenate([gt[:1], gt[:1], gt[:-2]]), gray(16, 9)
    assert value(gt, gt) < value(late, gt) < value(wrong, gt)
    assert value(gt, gt) <= 0


@needs_golden
def test_signature_names_the_checkpoint_and_gamma():
    settings = Settings(weights={"avhubert": TINY}, options=OPTIONS)
    keys = SoftDtwAvhubert(settings, frozenset({NAME})).keys(NAME)
    assert keys["gamma"] == "0.01" and keys["roi"] == "center88" and keys["feat"] and keys["dtype"] == "fp32"


@needs_golden
def test_without_a_real_mouth_it_fails():
    gen = colour(gray(12, 0))
    settings = Settings(weights={"avhubert": TINY}, device="cpu")
    points = np.full((12, 68, 2), np.nan)
    with pytest.raises(MetricError):
        measure(SoftDtwAvhubert(settings, frozenset({NAME})), pair(gen, gen, gen_points=points, gt_points=points))

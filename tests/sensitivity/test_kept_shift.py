"""docs/sensitivity.md: with which protocol and region a shift stays in what a network sees (figure 5 of Yaman et al. 2024)."""

import json

import pytest
from support.avhubert import TINY, needs_golden
from support.avhubert_expert import public_file
from support.radio import talking_video

from lipsync_eval.cli import cli


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return talking_video(tmp_path_factory.mktemp("clip") / "talk.mkv", frames=10)


def means(clip, out, metrics, *more):
    from click.testing import CliRunner

    line = ["sensitivity", clip, "--perturb", "shift", "--grades", "shift=24", "--metrics", metrics, "--out", out]
    found = CliRunner().invoke(cli, [*map(str, line), "--device", "cpu", "--quiet", *map(str, more)])
    assert found.exit_code == 0, found.output
    rows = json.loads((out / "sensitivity.json").read_text("utf-8"))["rows"]
    return {(row["metric"], row["perturbation"]): row["value"] for row in rows}


@needs_golden
def test_avs_sees_a_shift_only_without_alignment(clip, tmp_path):
    weights = ("--weights", f"avhubert={TINY}")
    aligned = means(clip, tmp_path / "a", "avs_v", *weights)
    kept = means(clip, tmp_path / "b", "avs_v", *weights, "--protocol", "lrs", "--roi", "resize")
    assert 1 - kept["avs_v", "shift"] > 2 * (1 - aligned["avs_v", "shift"])


def test_the_lip_expert_sees_a_shift_only_in_the_protocols_crop(clip, tmp_path):
    weights = ("--weights", f"lip-expert={public_file(tmp_path / 'e.pth')}")
    metric = "lip_expert_cosine"
    own = means(clip, tmp_path / "a", metric, *weights)
    kept = means(clip, tmp_path / "b", metric, *weights, "--protocol", "wav2lip", "--lip-expert-crop", "protocol")

    def moved(found):
        return abs(found[metric, "shift"] - found[metric, "none"])

    assert moved(kept) > 2 * moved(own)

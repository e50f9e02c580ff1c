"""Wav2Lip's towers: sizes and numbers of parameters of the public code."""

import pytest
import torch

from lipsync_eval.baselines.kit.network.wav2lip import ConvBlock, Plan, audio_plans, norm_layer, tower, visual_plans
from lipsync_eval.baselines.kit.training.dry_run import parameters


@pytest.mark.parametrize(("plans", "shape", "count"), [
    (audio_plans(), (1, 80, 16), 3_403_264),
    (visual_plans(), (15, 48, 96), 13_031_808),
])  # fmt: skip
def test_towers(plans, shape, count):
    net = tower(plans).eval()
    assert parameters(net) == count
    assert net(torch.zeros(2, *shape)).shape == (2, 512, 1, 1)
    assert "0.conv_block.0.weight" in net.state_dict()


def test_the_last_block_may_be_linear_and_norms_differ():
    net = tower(audio_plans(16), 2, 0.01, linear=True)
    assert (net(torch.randn(4, 1, 80, 16)) < 0).any()
    assert norm_layer(4, 48).num_groups == 4
    block = ConvBlock(Plan(4, 4, residual=True)).eval()
    torch.nn.init.zeros_(block.conv_block[0].weight)
    torch.nn.init.zeros_(block.conv_block[0].bias)
    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(block(x), x.relu())

"""Features of a video with replaced frames, without reading all of it again."""

import pytest
import torch
from support.avhubert import TINY, needs_golden, network

from lipsync_eval.errors import InputError
from lipsync_eval.features.avhubert import front_end, spliced


@needs_golden
@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 8, 12, 13, 14, 15])
def test_spliced_equals_the_whole_pass(start):
    model, generator = network(TINY), torch.Generator().manual_seed(start)
    real = torch.randn(20, 88, 88, generator=generator)
    made = torch.randn(5, 88, 88, generator=generator, requires_grad=True)
    found = spliced(model, real, front_end(model, real), made, start)
    whole = front_end(model, torch.cat([real[:start], made.detach(), real[start + 5 :]]))
    torch.testing.assert_close(found.detach(), whole, rtol=1e-5, atol=5e-5)
    found.square().sum().backward()
    assert (made.grad.abs().sum((1, 2)) > 0).all()


@needs_golden
def test_frames_outside_the_video_are_refused():
    model, real = network(TINY), torch.zeros(6, 88, 88)
    for start in (-1, 2):
        with pytest.raises(InputError, match="5 frames at"):
            spliced(model, real, torch.zeros(8, 6), torch.zeros(5, 88, 88), start)

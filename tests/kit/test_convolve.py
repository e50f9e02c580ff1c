"""The convolution of networks that are differentiated twice, against torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from lipsync_eval.baselines.kit.network.convolve import convolve
from lipsync_eval.baselines.kit.network.discriminator import Discriminator

shapes = st.fixed_dictionaries(
    {
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "padding": st.integers(0, 2),
        "groups": st.sampled_from([1, 2, 4]),
        "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "size": st.tuples(st.integers(4, 8), st.integers(4, 8)),
    }
)


def drawn(how: dict) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 4, *how["size"], dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 4 // how["groups"], *how["kernel"], dtype=torch.float64, requires_grad=True)
    return x, weight


@settings(deadline=None, max_examples=25)
@given(shapes)
def test_values_and_both_derivatives_are_those_of_torch(how):
    x, weight = drawn(how)
    rest = {"stride": how["stride"], "padding": how["padding"], "groups": how["groups"]}
    found = []
    for call in (convolve, F.conv2d):
        y = call(x, weight, **rest)
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        second = torch.autograd.grad(slope.square().sum() + y.sum(), (x, weight))
        found.append((y, slope, *second))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@settings(deadline=None, max_examples=5)
@given(shapes)
def test_derivatives_of_derivatives(how):
    x, weight = drawn(how)
    rest = {"stride": how["stride"], "padding": how["padding"], "groups": how["groups"]}
    assert torch.autograd.gradgradcheck(lambda a, b: convolve(a, b, **rest).sin(), (x, weight))


def test_autocast_gives_what_torch_gives_under_it():
    torch.manual_seed(0)
    found = []
    for call in (convolve, F.conv2d):
        x, weight = (
            torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(k), requires_grad=True) for k in (1, 2)
        )
        with torch.autocast("cpu", torch.bfloat16):
            y = call(x, weight[:, :, :3, :3], padding=1)
        y.float().square().sum().backward()
        found.append((y, x.grad, weight.grad))
    assert found[0][0].dtype == torch.bfloat16
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)


def test_a_penalty_on_gradients_costs_no_convolution_a_channel():
    """The reason for it: torch runs one for every channel of every filter."""
    net = Discriminator(16)
    image = torch.rand(2, 3, 16, 16, requires_grad=True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        (slope,) = torch.autograd.grad(net(image).sum(), image, create_graph=True)
        slope.square().sum().backward()
    calls = sum(event.count for event in seen.key_averages() if event.key == "aten::_convolution")
    assert 0 < calls < 200


def test_shapes_are_known_without_numbers():
    x, weight = torch.empty(2, 4, 9, 7, device="meta"), torch.empty(6, 4, 3, 3, device="meta")
    assert convolve(x, weight, stride=2, padding=1).shape == (2, 6, 5, 4)


@pytest.mark.parametrize("frozen", ["image", "weights"])
def test_what_needs_no_gradient_gets_none(frozen):
    x, weight = drawn({"size": (5, 5), "groups": 1, "kernel": (3, 3)})
    (x if frozen == "image" else weight).requires_grad_(False)
    convolve(x, weight).sum().backward()
    assert (x.grad is None) == (frozen == "image") and (weight.grad is None) == (frozen == "weights")

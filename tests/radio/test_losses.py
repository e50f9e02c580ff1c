"""Each loss against a case worked by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lipsync_eval.baselines.kit.network import vgg
from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.radio.config import SyncConfig
from lipsync_eval.baselines.radio.network.sync_discriminator import tight_gray
from lipsync_eval.errors import InputError, RefusedCheckpoint


def test_pixel_is_the_mean_absolute_difference():
    a = torch.tensor([[1.0, -1.0], [0.5, 0.0]])
    b = torch.tensor([[0.0, -1.0], [0.0, 2.0]])
    assert losses.pixel(a, b).item() == pytest.approx((1 + 0 + 0.5 + 2) / 4)


def test_perceptual_weighs_each_layer():
    a = [torch.zeros(1, 2, 2, 2), torch.ones(1, 3, 1, 1)]
    b = [torch.full((1, 2, 2, 2), 0.5), torch.zeros(1, 3, 1, 1)]
    assert losses.perceptual(a, b, (0.25, 2.0)).item() == pytest.approx(0.25 * 0.5 + 2 * 1)
    with pytest.raises(InputError, match="3 layer weights for 2 and 2"):
        losses.perceptual(a, b, (1, 1, 1))


def test_adversarial_losses():
    fake, real = torch.tensor([0.0, math.log(3)]), torch.tensor([0.0, -math.log(3)])
    assert losses.adversarial_generator(fake).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
    expected = (math.log(2) + math.log(4)) / 2 + (math.log(2) + math.log(4)) / 2
    assert losses.adversarial_discriminator(fake, real).item() == pytest.approx(expected)
    sure = losses.adversarial_discriminator(torch.tensor([-50.0]), torch.tensor([50.0]))
    assert sure.item() == pytest.approx(0, abs=1e-6)


def test_r1_of_a_quadratic():
    """D(I) = sum of I^2 has the gradient 2 I: the mean over frames of 4 |I|^2."""
    images = torch.stack([torch.full((3, 2, 2), 1.0), torch.full((3, 2, 2), 0.5)]).requires_grad_()
    penalty = losses.r1(images.square().sum((1, 2, 3)), images)
    assert penalty.item() == pytest.approx((4 * 12 + 4 * 3) / 2)
    penalty.backward()
    torch.testing.assert_close(images.grad, 4 * images.detach())  # d/dI of mean over 2 of 4 I^2


@pytest.mark.parametrize(("how", "expected"), [("rescale", [0.0, 0.25, 0.5, 1.0]), ("clamp", [0.0, 0.0, 0.0, 1.0])])
def test_sync_probability(how, expected):
    p = losses.sync_probability(torch.tensor([-1.0, -0.5, 0.0, 1.0]), how)
    np.testing.assert_allclose(p.numpy(), expected, atol=2e-7)
    assert (p > 0).all() and (p < 1).all()


def test_sync_is_binary_cross_entropy():
    p, y = torch.tensor([0.8, 0.3]), torch.tensor([1.0, 0.0])
    assert losses.sync(p, y).item() == pytest.approx(-(math.log(0.8) + math.log(0.7)) / 2)
    worst = losses.sync(losses.sync_probability(torch.tensor([-1.0]), "rescale"), torch.ones(1))
    assert worst.item() == pytest.approx(-math.log(losses.CLAMP), rel=1e-2)


def test_rescaled_cosine_has_a_gradient_where_the_clamped_has_none():
    slope = {}
    for how in ("rescale", "clamp"):
        cosine = torch.tensor([-0.5], requires_grad=True)
        losses.sync(losses.sync_probability(cosine, how), torch.ones(1)).backward()
        slope[how] = cosine.grad.item()
    assert slope["rescale"] == pytest.approx(-2.0) and slope["clamp"] == 0


def test_tight_gray_takes_the_box_in_luma():
    frames = torch.zeros(2, 5, 3, 32, 32)
    frames[..., 0, 12:, 6:26] = 1.0  # pure red in the box (0.1875, 0.375, 0.8125, 1) of 32 px
    gray = tight_gray(frames, SyncConfig(size=16))
    assert gray.shape == (2, 5, 16, 16)
    np.testing.assert_allclose(gray.numpy(), 0.299, atol=1e-6)
    outside = torch.zeros(1, 3, 32, 32)
    outside[..., :12, :] = 1.0
    outside[..., :6] = 1.0
    outside[..., 26:] = 1.0
    assert tight_gray(outside, SyncConfig(size=20)).abs().max() == 0


def reference_vgg(kind):
    """Layers of torchvision's plan, written out from the paper's table, with seeded weights."""
    plan = {"vgg16": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]}
    plan["vgg19"] = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]
    layers, channels = [], 3
    for item in plan[kind]:
        if item == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, item, 3, padding=1), nn.ReLU()]
            channels = item
    return nn.Sequential(*layers)


@pytest.mark.parametrize(("kind", "cuts"), [("vgg16", (2, 7, 12, 19, 26)), ("vgg19", (2, 7, 12, 21, 30))])
def test_vgg_reads_torchvision_keys_and_gives_relu_n_1(kind, cuts):
    torch.manual_seed(0)
    full = reference_vgg(kind)
    state = {f"features.{key}": value for key, value in full.state_dict().items()}
    state["classifier.0.weight"] = torch.zeros(1)
    net = vgg.from_tensors(state, "file.pth")
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    mean, std = torch.tensor(vgg.MEAN)[:, None, None], torch.tensor(vgg.STD)[:, None, None]
    x = ((image + 1) / 2 - mean) / std
    with torch.no_grad():
        for found, cut in zip(net(image), cuts, strict=True):
            torch.testing.assert_close(found, full[:cut](x))
    assert not any(p.requires_grad for p in net.parameters())


def test_other_state_dicts_are_refused():
    with pytest.raises(RefusedCheckpoint, match="vgg16 or vgg19"):
        vgg.from_tensors({"features.0.weight": torch.zeros(1)}, "alexnet.pth")
    state = {f"features.{key}": value for key, value in reference_vgg("vgg16").state_dict().items()}
    state["features.0.weight"] = torch.zeros(64, 1, 3, 3)
    with pytest.raises(RefusedCheckpoint, match="does not fit vgg16"):
        vgg.from_tensors(state, "gray.pth")

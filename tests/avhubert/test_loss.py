"""avs_loss: its value, its gradient, padding, the interval, and that a frame can be moved by it."""

import math

import numpy as np
import pytest
import torch
from support.avhubert import GOLDEN, TINY, arrays, needs_golden, network

from lipsync_eval.errors import InputError
from lipsync_eval.features.avhubert import AVHuBERT, AVHuBERTConfig, avs_loss, similarity_loss, video_input
from lipsync_eval.features.avhubert.loss import FLOOR, VARIANTS

SMALL = AVHuBERTConfig(layers=2, dim=32, ffn=48, heads=4, normalize=True, image_mean=0.421, image_std=0.165)


def _batch(batch=2, steps=4, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    model = AVHuBERT(SMALL).to(dtype).requires_grad_(False)
    video, target = torch.randn(2, batch, 1, steps, 88, 88, dtype=dtype)
    return model, video, {"audio": torch.randn(batch, 104, steps, dtype=dtype), "target": target}


@needs_golden
@pytest.mark.parametrize(
    ("variant", "score"), [("unsupervised", "AVS_u"), ("visual-visual", "AVS_v"), ("multimodal", "AVS_m")]
)
def test_value_is_minus_log_of_the_official_score(variant, score):
    import json

    expected = json.loads((GOLDEN / "G_avs/avs.json").read_text())["tiny_finetuned/T25/blend"][score]["frame_mean"]
    inputs = {**arrays("C_features/inputs.npz"), **arrays("G_avs/gen_inputs.npz")}
    made, real = (torch.from_numpy(video_input(inputs[k]))[None, None] for k in ("gen_blend_u8_T25", "video_u8_T25"))
    audio = torch.from_numpy(inputs["audio_T25"])[None]
    loss = avs_loss(network(TINY), made, audio=audio, target=real, variant=variant)
    assert math.exp(-loss.item()) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_equals_finite_differences(variant):
    """Along the gradient and across it; PReLU and max-pooling have kinks, hence the small step and 1e-4."""
    model, video, rest = _batch(batch=1)
    model.feature_extractor_video.proj.weight.mul_(30)  # random weights hardly look at the frame
    video.requires_grad_(True)
    avs_loss(model, video, variant=variant, **rest).backward()
    along = video.grad / video.grad.norm()
    for direction in (
        along,
        *torch.nn.functional.normalize(torch.randn(2, video.numel(), dtype=video.dtype)).view(2, *video.shape),
    ):
        step = 1e-5
        with torch.no_grad():
            ahead, behind = (avs_loss(model, video + s * step * direction, variant=variant, **rest) for s in (1, -1))
        slope = (ahead - behind) / (2 * step)
        torch.testing.assert_close(
            (video.grad * direction).sum(), slope, rtol=1e-4, atol=1e-4 * video.grad.norm().item()
        )


@pytest.mark.parametrize("variant", VARIANTS)
def test_padded_batch_equals_its_clips_alone(variant):
    model, video, rest = _batch(batch=2, steps=6)
    lengths = (6, 4)
    mask = torch.arange(6)[None] >= torch.tensor(lengths)[:, None]
    for x in (video, rest["target"]):
        x[mask[:, None].expand(-1, 1, -1)] = 0
    rest["audio"].masked_fill_(mask[:, None], 0)
    video.requires_grad_(True)
    together = avs_loss(model, video, variant=variant, padding_mask=mask, **rest)
    alone = [
        avs_loss(
            model,
            video[i : i + 1, :, :n],
            variant=variant,
            audio=rest["audio"][i : i + 1, :, :n],
            target=rest["target"][i : i + 1, :, :n],
        )
        for i, n in enumerate(lengths)
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean(), rtol=1e-9, atol=1e-12)
    together.backward()
    assert video.grad[1, :, :4].abs().sum() > 0


def test_only_the_interval_counts():
    model, video, rest = _batch(batch=1, steps=9)
    frames = torch.zeros(1, 9, dtype=torch.bool)
    frames[:, 3:6] = True
    with torch.no_grad():
        made, real = model(video, None), model(None, rest["audio"])
    expected = similarity_loss(made[:, 3:6], real[:, 3:6], torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(avs_loss(model, video, frames=frames, **rest), expected)


def test_the_tangent_joins_the_logarithm_and_keeps_a_gradient():
    angles = torch.tensor(
        [math.acos(FLOOR) - 1e-6, math.acos(FLOOR) + 1e-6, math.pi * 0.9], dtype=torch.float64, requires_grad=True
    )
    real = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.bool)
    above, below, far = (similarity_loss(torch.stack([a.cos(), a.sin()])[None, None], real, one) for a in angles)
    assert above.item() == pytest.approx(below.item(), abs=1e-3)
    assert far > below
    (above + below + far).backward()
    assert angles.grad[0].item() == pytest.approx(angles.grad[1].item(), rel=1e-3)
    assert angles.grad[2] > 1


def test_equal_features_give_zero():
    x = torch.randn(2, 4, 8)
    assert similarity_loss(x, 3 * x, torch.ones(2, 4, dtype=torch.bool)).item() == pytest.approx(0, abs=1e-6)


def test_descending_the_gradient_lowers_the_loss():
    """Usable in training: ten steps on the frames, no gradient into the frozen expert."""
    model, video, rest = _batch(batch=1, steps=4, dtype=torch.float32)
    video.requires_grad_(True)
    optimiser = torch.optim.Adam([video], lr=0.05)
    losses = []
    for _ in range(10):
        optimiser.zero_grad()
        loss = avs_loss(model, video, **rest)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variant": "other"}, "unsupervised, visual-visual, multimodal"),
        ({"audio": None}, "unsupervised loss needs audio"),
        ({"variant": "multimodal", "target": None}, "multimodal loss needs the real video"),
        ({"frames": torch.zeros(2, 4, dtype=torch.bool)}, "no frame that counts"),
        ({"frames": torch.ones(2, 4)}, r"masks must be \(2, 4\) bool"),
        ({"padding_mask": torch.ones(2, 4, dtype=torch.bool)}, "no frame that counts"),
    ],
)
def test_wrong_input_is_explained(change, message):
    model, video, rest = _batch(dtype=torch.float32)
    with pytest.raises(InputError, match=message):
        avs_loss(model, video, **{**rest, **change})


def test_features_of_a_padded_row_are_finite():
    model, video, rest = _batch(dtype=torch.float32)
    mask = torch.tensor([[False] * 4, [False] + [True] * 3])
    assert np.isfinite(model(video, rest["audio"], mask).detach().numpy()).all()

"""StyleSync's networks: counts of the specification, eq. 1, injection, value ranges."""

import numpy as np
import pytest
import torch
from support.stylesync import micro

from lipsync_eval.baselines.kit.network.stylegan import EqualLinear, PixelNorm
from lipsync_eval.baselines.kit.training.dry_run import parameters
from lipsync_eval.baselines.stylesync.config import ModelConfig
from lipsync_eval.baselines.stylesync.network.build import build
from lipsync_eval.baselines.stylesync.network.generator import StyleSync, hide, level_mask, mask_maps
from lipsync_eval.baselines.stylesync.network.personal import Personal, StyleOffsets
from lipsync_eval.baselines.stylesync.network.wav2lip_h import Wav2LipH
from lipsync_eval.baselines.stylesync.presets import PRESETS, load
from lipsync_eval.errors import InputError, UsageError

SMALL = {"size": 64, "narrow": 0.03125, "audio_narrow": 16, "style_dim": 16, "mask_levels": 2}


def small(**more):
    torch.manual_seed(0)
    mask = torch.zeros(256, 256, dtype=torch.uint8)
    mask[128:240, 40:216] = 1
    return StyleSync(ModelConfig(**SMALL | more), mask).eval()


def inputs(size=64, batch=2, seed=1):
    g = torch.Generator().manual_seed(seed)
    target, reference = (torch.rand(batch, 3, size, size, generator=g) * 2 - 1 for _ in range(2))
    return target, reference, torch.randn(batch, 1, 80, 16, generator=g)


def set_injection(model, value):
    for name, x in model.synthesis.named_parameters():
        if name.endswith(".weight") and x.shape == (1,):
            torch.nn.init.constant_(x, value)


def test_parameters_of_the_specification():
    with torch.device("meta"):
        whole, half = build(ModelConfig()), build(ModelConfig(narrow=0.5))
    assert parameters(whole.synthesis) == 61_886_754
    assert parameters(whole.face.layers) == 10_915_456 and parameters(whole.face.code) == 4_194_816
    assert parameters(whole.synthesis) + parameters(whole.face) == 76_997_026
    assert parameters(half.synthesis) + parameters(half.face) == 24_637_922
    assert whole.config.n_styles == 14 and len(whole.synthesis.convs) + 1 == 13 and whole.config.w_dim == 1024


def test_masked_levels_are_those_of_equation_1():
    assert ModelConfig().masked == {64, 128, 256} and ModelConfig().equation_1 == 3
    cpu = load(preset="stylesync-64").model
    assert cpu.masked == {32, 64} and cpu.n_styles == 10
    for name in PRESETS:
        m = load(preset=name).model
        assert m.mask_levels == (0 if name.endswith("womask") else m.equation_1), name


def test_shape_range_and_steps():
    model, x = small(), inputs()
    out = model(*x)
    assert out.shape == (2, 3, 64, 64) and out.abs().max() <= 1
    inner = (out + 1) / 2
    assert inner.min() >= 0 and inner.max() <= 1  # a sigmoid's
    torch.testing.assert_close(model(*(t[:1] for t in x)), out[:1], atol=1e-5, rtol=1e-5)
    set_injection(model, 1.0)
    signed = small(range="signed")
    assert signed(*x).shape == (2, 3, 64, 64)


def test_at_step_0_face_maps_do_nothing_and_the_face_code_does():
    model = small()
    target, reference, mel = inputs()
    maps, code = model.look(target, reference)
    other = {size: torch.randn_like(x) for size, x in maps.items()}
    styles = [model.style(model.hear(mel), code)] * 10
    scalars = [x for name, x in model.synthesis.named_parameters() if name.endswith("weight") and x.shape == (1,)]
    assert len(scalars) == 9 and all(not x.any() for x in scalars)
    assert torch.equal(model.draw(maps, styles), model.draw(other, styles))
    changed = [model.style(model.hear(mel), code + 1)] * 10
    assert not torch.allclose(model.draw(maps, styles), model.draw(maps, changed))
    set_injection(model, 0.5)
    assert not torch.allclose(model.draw(maps, styles), model.draw(other, styles))


def test_equation_1_by_hand():
    mask = torch.zeros(256, 256, dtype=torch.uint8)
    mask[:, 128:] = torch.randint(0, 2, (256, 128), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    maps = {size: torch.rand(1, 2, size, size) + 1 for size in (4, 8, 16, 32, 64, 128, 256)}
    masked = mask_maps(maps, mask, ModelConfig().masked)
    for size, x in maps.items():
        if size <= 32:
            assert masked[size] is x
            continue
        side = 256 // size
        share = mask.float().numpy().reshape(size, side, size, side).mean((1, 3))
        np.testing.assert_allclose(masked[size].numpy(), x.numpy() * (1 - share), rtol=1e-5, atol=1e-6)


def test_the_references_mouth_reaches_no_masked_map():
    target, reference, _ = inputs()
    changed = reference.clone()
    changed[..., 40:52, 24:40] *= -1  # well inside the mask
    for levels in (2, 0):
        model = small(mask_levels=levels)
        a, b = model.look(target, reference)[0], model.look(target, changed)[0]
        for size in (32, 64):
            inside = level_mask(model.mask, size) == 1
            same = torch.equal(a[size][..., inside], b[size][..., inside])
            assert same == (levels == 2), (levels, size)


def test_the_targets_mouth_reaches_nothing_and_the_rest_everything():
    model, (target, reference, mel) = small(), inputs()
    set_injection(model, 1.0)
    hidden = level_mask(model.mask, 64) > 0
    other = torch.where(hidden, -target, target)
    assert torch.equal(model(target, reference, mel), model(other, reference, mel))
    above = target.clone()
    above[..., :10, :] *= -1
    a, b = (model.look(x, reference)[0] for x in (target, above))
    assert all(not torch.equal(a[size][..., :1, :], b[size][..., :1, :]) for size in a)
    shown = model.shown(target)
    assert (shown[..., hidden] == -1).all() and torch.allclose(shown[..., ~hidden], target[..., ~hidden], atol=1e-6)
    half = torch.ones(256, 256, dtype=torch.uint8)
    half[:130] = 0  # the border runs through a pixel of the 64-px frame: it is hidden whole
    assert (hide(torch.ones(64, 64), half)[32] == 0).all() and (hide(torch.ones(64, 64), half)[31] == 1).all()


@pytest.mark.parametrize("more", [{"inject": "add"}, {"mapping": 2, "fuse": 24}, {"face_code": False}, {"mapping": 1}])
def test_variants(more):
    model = small(**more)
    assert model(*inputs()).shape == (2, 3, 64, 64)
    assert model.config.w_dim == {"fuse": 24, "face_code": 16}.get(list(more)[-1], 32)


def test_equal_linear_with_slower_rate_is_rosinalitys():
    torch.manual_seed(0)
    layer = EqualLinear(6, 5, bias_init=0.3, activate=True, lr_mul=0.01)
    x = torch.randn(3, 6)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    assert weight.std() > 30  # stored as randn / lr_mul
    y = x @ (weight * (0.01 / 6**0.5)).T + bias * 0.01
    expected = torch.where(y > 0, y, 0.2 * y) * 2**0.5
    torch.testing.assert_close(layer(x), expected)
    z = PixelNorm()(x)
    torch.testing.assert_close(z.square().mean(1), torch.ones(3))


def test_wav2lip_h():
    with torch.device("meta"):
        net = build(ModelConfig(network="wav2lip-h")).eval()
        big = torch.empty(1, 3, 256, 256)
        assert net(big, big, torch.empty(1, 1, 80, 16)).shape == (1, 3, 256, 256)
    config = ModelConfig(**SMALL, network="wav2lip-h")
    model = Wav2LipH(config, small().mask).eval()
    target, reference, mel = inputs()
    out = model(target, reference, mel)
    assert out.shape == (2, 3, 64, 64) and out.abs().max() <= 1
    hidden = level_mask(model.mask, 64) > 0
    assert torch.equal(out, model(torch.where(hidden, -target, target), reference, mel))
    assert not torch.allclose(out, model(target, -reference, mel))
    assert not torch.allclose(out, model(target, reference, mel + 1))


def test_p_equals_g_bit_for_bit_at_0_and_eq_6_by_hand():
    base = small()
    set_injection(base, 0.5)
    for more in ({}, {"dw": False}, {"dp": False}, {"dw_shared": False}):
        p = Personal(base, micro(personal=more).personal)
        assert torch.equal(p(*inputs()), base(*inputs()))
        assert p.penalty() == 0
        assert not any(name.startswith("base") for name in p.state_dict())
    p = Personal(base, micro().personal)
    with torch.no_grad():
        p.dp["constant"][:] = 0.1
        for k, head in enumerate(p.dw.heads):
            head.bias[:] = 0.01 * k
    out = p(*inputs())
    assert not torch.allclose(out, base(*inputs()))
    dw = 32 * sum((0.01 * k) ** 2 for k in range(10))  # 10 vectors of 32
    dp = 0.01 * base.synthesis.constant.numel()
    assert p.penalty().item() == pytest.approx(dw + dp, rel=1e-4)
    assert p.norms() == pytest.approx({"norm_dw": dw**0.5, "norm_dp": dp**0.5}, rel=1e-4)
    p.reduce = "mean"
    count = parameters(base.synthesis)
    assert p.penalty().item() == pytest.approx(dw / 320 + dp / count, rel=1e-4)
    out.sum().backward()
    assert all(x.grad is not None for x in p.parameters()) and all(x.grad is None for x in base.parameters())


def test_offsets_have_one_vector_for_each_style():
    offsets = StyleOffsets(ModelConfig(), 256, shared=True)
    assert offsets(torch.randn(2, 512)).shape == (2, 14, 1024)


def test_wrong_inputs_are_refused():
    model, (target, reference, mel) = small(), inputs()
    with pytest.raises(InputError, match="target: this model takes"):
        model(target[..., :32], reference, mel)
    with pytest.raises(InputError, match="mel: this model takes"):
        model(target, reference, mel[..., :8])
    with pytest.raises(UsageError, match="no power of two"):
        micro(model={"size": 96})
    with pytest.raises(UsageError, match="cannot be halved"):
        micro(personal={"batch": 3})

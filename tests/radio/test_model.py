"""Shapes, parameter counts, the attention equation, and what the generator may and may not see."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from lipsync_eval.baselines.kit.network.discriminator import Discriminator, channels_at
from lipsync_eval.baselines.radio import presets
from lipsync_eval.baselines.radio.config import ModelConfig
from lipsync_eval.baselines.radio.network.generator import Radio, mask_lower
from lipsync_eval.baselines.radio.network.resnet_se import SEBasicBlock
from lipsync_eval.baselines.radio.network.sync_discriminator import SyncDiscriminator
from lipsync_eval.baselines.radio.network.vit import (
    AttentionLayer,
    ViTBlock,
    attention,
    attention_weights,
    patches,
    unpatches,
)
from lipsync_eval.errors import InputError, UsageError

TINY = presets.load(preset="radio-48")


def batch(config, n=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    size = config.size
    frame = lambda: torch.rand(n, 3, size, size, generator=g) * 2 - 1  # noqa: E731
    return frame(), frame(), torch.rand(n, 1, 80, 20, generator=g) * 2 - 1


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_192_maps_and_codes_have_the_papers_shapes():
    """f_c 12x12x512, f_s 512, f_a 512, W 1024; four down-blocks, then two convolutions (section 3.1, supplement A)."""
    config = ModelConfig()
    assert config.encoder_sizes == (96, 48, 24, 12, 12, 12)
    model = Radio(config)
    target, reference, mel = batch(config, 1)
    with torch.no_grad():
        known = model.reference(reference)
        contents, w = model.encode(target, known, mel)
        assert model.decoder(contents, w, known.maps).shape == (1, 3, 192, 192)
    assert contents[-1].shape == (1, 512, 12, 12)
    assert known.code.shape == (1, 512) and w.shape == (1, 1024)
    assert [tuple(c.shape[1:]) for c in contents[:3]] == [(128, 96, 96), (256, 48, 48), (512, 24, 24)]
    assert {i: tuple(m.shape[1:]) for i, m in known.maps.items()} == {1: (128, 96, 96), 2: (256, 48, 48)}


@pytest.mark.parametrize("preset", ["radio-192", "radio-96", "radio-48"])
def test_decoder_map_l_minus_i_meets_style_map_i(preset):
    """f_d^(L-i) and f_s^i have one size for every i, and f_c^i is added where f_d^(L-i) is made (sections 3.1 and 3.2)."""
    config = presets.load(preset=preset).model
    depth, plan = config.layers, config.decoder_plan
    for i in range(1, depth + 1):
        asked = plan[depth - i]  # layer L - i + 1, whose input is f_d^(L-i)
        assert asked.style_map == i and asked.size_in == config.encoder_sizes[i - 1]
        assert config.channels(asked.size_in) == config.channels(config.encoder_sizes[i - 1])
        if i < depth:  # layer L - i puts out f_d^(L-i)
            maker = plan[depth - i - 1]
            assert maker.content_map == i and maker.size_out == config.encoder_sizes[i - 1]
    assert plan[-1].content_map == 0 and plan[-1].size_out == config.size


def test_f_s_is_pooled_after_the_down_blocks():
    """Supplement A; the two convolution blocks of E_s are built only where a decoder layer asks for their maps."""
    torch.manual_seed(0)
    config = TINY.model
    style = Radio(config).style
    maps = style(batch(config)[1])
    assert len(maps) == config.layers - 2 == 2
    torch.testing.assert_close(style.code(maps), style.fc(maps[1].mean((2, 3))))
    whole = Radio(config.model_copy(update={"vit_blocks": config.layers})).style
    maps = whole(batch(config)[1])
    assert len(maps) == config.layers
    changed = [*maps[:2], maps[2] + 1, maps[3] + 1]
    torch.testing.assert_close(whole.code(changed), whole.code(maps), rtol=0, atol=0)


def test_96_layer_4_has_a_12_pixel_input():
    """Supplement D: 'the feature resolution is 12 x 12 for the fourth decoder layer' at 96 pixels."""
    plan = presets.load(preset="radio-96").model.decoder_plan
    assert [p.size_in for p in plan] == [6, 6, 6, 12, 24, 48]
    assert [p.size_out for p in plan] == [6, 6, 12, 24, 48, 96]
    assert plan[3].size_in == 12


@pytest.mark.parametrize(("size", "expected"), [(192, [(48, 2), (96, 3)]), (96, [(24, 1), (48, 2)])])
def test_patches_are_ceil_of_a_32nd(size, expected):
    plan = ModelConfig(size=size).decoder_plan
    assert [(p.size_in, p.patch) for p in plan if p.fidelity == "vit"] == expected


@pytest.mark.parametrize(
    ("preset", "fidelity", "depth", "w"),
    [
        ("radio-96-a", ["none", "none"], 0, 512),
        ("radio-96-b", ["none", "none"], 0, 1024),
        ("radio-96-c", ["add", "add"], 0, 1024),
        ("radio-96-d", ["vit", "vit"], 4, 1024),
        ("radio-96-vit11", ["none", "vit"], 1, 1024),
        ("radio-96-vit12", ["none", "vit"], 2, 1024),
        ("radio-96-vit22", ["vit", "vit"], 4, 1024),
    ],
)
def test_presets_are_the_rows_of_both_tables(preset, fidelity, depth, w):
    config = presets.load(preset=preset).model
    assert [p.fidelity for p in config.decoder_plan[-2:]] == fidelity
    assert {p.fidelity for p in config.decoder_plan[:-2]} == {"none"}
    assert config.w_dim == w
    with torch.device("meta"):
        model = Radio(config)
    assert sum(isinstance(m, AttentionLayer) for m in model.modules()) == depth
    assert (model.style is None) == (config.variant == "A")


def expected_generator(c):
    """Parameters of variant D counted by hand from the architecture."""
    sizes = [c.channels(s) for s in c.encoder_sizes]
    wide = c.channels(c.size)
    downs = (27 * wide + wide) + (9 * wide * sizes[0] + sizes[0]) + 3 * sizes[0]
    downs += sum(9 * a * a + a + 9 * a * b + b + a * b for a, b in pairwise(sizes[:-2]))
    encoder = downs + 2 * (9 * sizes[-1] ** 2 + sizes[-1])
    style = downs + sizes[-1] * c.style_dim + c.style_dim
    decoder = 0
    for p in c.decoder_plan:
        a, b = c.channels(p.size_in), c.channels(p.size_out)
        styled = 9 * a * b + c.w_dim * a + a + b  # weight, modulation with bias, activation bias
        styled += 9 * b * b + c.w_dim * b + b + b
        decoder += styled + (b * b if p.content_map else 0) + (3 * b + c.w_dim * b + b + 3)  # residual 1x1, to RGB
        if p.fidelity == "vit":
            d, flat, tokens = c.vit_dim, a * p.patch**2, (p.size_in // 2 // p.patch) * (p.size_in // p.patch)
            decoder += 2 * (flat * d + d) + 2 * tokens * d + d * flat + flat
            decoder += c.vit_layers * (6 * d + 4 * (d * d + d) + 4 * d * d + 4 * d + 4 * d * d + d)
    return encoder, style, decoder


@pytest.mark.parametrize("preset", ["radio-192", "radio-96", "radio-48"])
def test_parameter_counts(preset):
    config = presets.load(preset=preset).model
    with torch.device("meta"):
        model = Radio(config)
    assert (parameters(model.content), parameters(model.style), parameters(model.decoder)) == expected_generator(config)


def test_published_size_of_the_default_model():
    """A change of the default architecture breaks old checkpoints and must be seen: 61,984,488 parameters."""
    with torch.device("meta"):
        assert parameters(Radio(ModelConfig())) == 61_984_488


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("variant", ["A", "B", "C", "D"])
def test_generator_and_discriminators_run_in_float32_and_bf16(variant, dtype):
    config = TINY.model.model_copy(update={"variant": variant})
    torch.manual_seed(0)
    model, d, s = Radio(config), Discriminator(48, 1, 64), SyncDiscriminator(TINY.sync)
    target, reference, mel = batch(config, 5)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        out = model(target, reference, mel)
        score = d(out[:4])
        cosine = s(out[None], mel[:1])
    assert out.shape == (5, 3, 48, 48) and score.shape == (4,) and cosine.shape == (1,)
    assert torch.isfinite(out).all() and torch.isfinite(score).all() and cosine.abs().item() <= 1
    (out.float().square().mean() + score.float().mean() + cosine.mean()).backward()
    grads = [p.grad for p in model.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in grads)
    assert sum(float(g.abs().sum()) > 0 for g in grads) > 0.95 * len(grads)


def test_bf16_is_near_float32():
    torch.manual_seed(0)
    model = Radio(TINY.model).eval()
    target, reference, mel = batch(TINY.model, 2)
    with torch.no_grad():
        exact = model(target, reference, mel)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(target, reference, mel)
    assert (rough.float() - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_192_discriminator_stops_at_6():
    with torch.device("meta"):
        d = Discriminator(192)
    assert d.final_size == 6
    assert [channels_at(s) for s in (256, 192, 128, 96, 64, 48, 24, 6)] == [128, 128, 256, 256, 512, 512, 512, 512]
    with pytest.raises(InputError, match="takes \\(B, 3, 48, 48\\)"):
        Discriminator(48, 1, 16)(torch.zeros(1, 3, 64, 64))


def test_attention_is_equation_1():
    """Two queries, three keys, worked by hand: softmax(q k / sqrt(2)) v."""
    q = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    k = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    v = torch.tensor([[1.0], [10.0], [100.0]])
    a, b = math.exp(1 / math.sqrt(2)), math.exp(2 / math.sqrt(2))
    expected = torch.tensor([[(a + 10 + 100) / (a + 2)], [(1 + 10 * b + 100) / (b + 2)]])
    torch.testing.assert_close(attention_weights(q, k) @ v, expected)
    torch.testing.assert_close(attention(q[None, None], k[None, None], v[None, None])[0, 0], expected)


def test_attention_layer_normalises_projects_and_adds():
    """One layer against a slow version written from section 3.2, head by head and token by token."""
    torch.manual_seed(3)
    layer = AttentionLayer(16, 8)
    x, other = torch.randn(2, 5, 16), torch.randn(2, 7, 16)

    def norm(t, module):
        t = (t - t.mean(-1, keepdim=True)) / torch.sqrt(t.var(-1, unbiased=False, keepdim=True) + 1e-5)
        return t * module.weight + module.bias

    q, k = layer.to_query(norm(x, layer.norm_query)), layer.to_key(norm(other, layer.norm_reference))
    v = layer.to_value(norm(other, layer.norm_reference))
    mixed = torch.zeros(2, 5, 16)
    for b in range(2):
        for h in range(8):
            part = slice(2 * h, 2 * h + 2)
            for i in range(5):
                weights = torch.stack([q[b, i, part] @ k[b, j, part] for j in range(7)]) / math.sqrt(2)
                weights = weights.exp() / weights.exp().sum()
                mixed[b, i, part] = sum(weights[j] * v[b, j, part] for j in range(7))
    y = x + layer.merge(mixed)
    y = y + layer.mlp(norm(y, layer.norm_mlp))
    torch.testing.assert_close(layer(x, other), y, rtol=1e-4, atol=1e-5)


def test_patches_come_back_in_place():
    x = torch.arange(2 * 3 * 6 * 12.0).reshape(2, 3, 6, 12)
    tokens = patches(x, 3)
    assert tokens.shape == (2, 8, 27)
    torch.testing.assert_close(tokens[0, 5].reshape(3, 3, 3), x[0, :, 3:6, 3:6])
    torch.testing.assert_close(unpatches(tokens, 3, 6, 12), x)


def test_vit_leaves_the_upper_half_and_maps_are_distributions():
    torch.manual_seed(0)
    block = ViTBlock(8, 12, 2, 16, 8, 2)
    x, reference = torch.randn(2, 8, 12, 12), torch.randn(2, 8, 12, 12)
    y = block(x, reference)
    torch.testing.assert_close(y[:, :, :6], x[:, :, :6], rtol=0, atol=0)
    assert (y[:, :, 6:] != x[:, :, 6:]).any()
    maps = block.maps(x, reference)
    assert [tuple(m.shape) for m in maps] == [(2, 8, 18, 18)] * 2 and block.grid == (3, 6)
    torch.testing.assert_close(maps[1].sum(-1), torch.ones(2, 8, 18))
    changed = reference.clone()
    changed[:, :, :6] = 0  # only the lower half of the reference counts
    torch.testing.assert_close(block(x, changed), y, rtol=0, atol=0)


@pytest.mark.parametrize("variant", ["A", "B", "C", "D"])
def test_the_lower_half_of_the_target_is_never_seen(variant):
    """If it were, training would copy it: the result must be bit-equal whatever is there."""
    torch.manual_seed(1)
    model = Radio(TINY.model.model_copy(update={"variant": variant})).eval()
    target, reference, mel = batch(TINY.model)
    other = target.clone()
    other[:, :, 24:] = torch.rand_like(other[:, :, 24:])
    changed_upper = target.clone()
    changed_upper[:, :, :24] *= -1
    with torch.no_grad():
        out = model(target, reference, mel)
        torch.testing.assert_close(model(other, reference, mel), out, rtol=0, atol=0)
        for inputs in ((changed_upper, reference, mel), (target, reference.flip(3), mel), (target, reference, -mel)):
            assert (model(*inputs) - out).abs().max() > 1e-4  # target, reference and audio all count


def test_mask_is_grey_and_leaves_its_input():
    x = torch.ones(2, 3, 4, 4)
    masked = mask_lower(x)
    assert masked[:, :, :2].eq(1).all() and masked[:, :, 2:].eq(0).all() and x.eq(1).all()


def test_a_picture_does_not_depend_on_its_batch():
    torch.manual_seed(2)
    model = Radio(TINY.model).eval()
    target, reference, mel = batch(TINY.model, 3)
    with torch.no_grad():
        together = model(target, reference, mel)
        alone = torch.cat([model(target[i : i + 1], reference[i : i + 1], mel[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_one_encoded_reference_serves_many_pictures():
    torch.manual_seed(2)
    model = Radio(TINY.model).eval()
    target, reference, mel = batch(TINY.model, 3)
    with torch.no_grad():
        known = model.reference(reference[:1])
        out = model.generate(target, known.expand(3), mel)
        expected = model(target, reference[:1].expand(3, -1, -1, -1), mel)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


def test_attention_maps_are_named_by_layer():
    torch.manual_seed(0)
    model = Radio(TINY.model).eval()
    target, reference, mel = batch(TINY.model, 1)
    with torch.no_grad():
        maps = model.attention(target, model.reference(reference), mel)
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        "3.1": (1, 8, 72, 72),
        "3.2": (1, 8, 72, 72),
        "4.1": (1, 8, 288, 288),
        "4.2": (1, 8, 288, 288),
    }
    plain = Radio(TINY.model.model_copy(update={"variant": "B"}))
    with pytest.raises(InputError, match="no ViT block"):
        plain.attention(target, plain.reference(reference), mel)


def test_variant_c_adds_the_lower_half_only():
    torch.manual_seed(0)
    model = Radio(TINY.model.model_copy(update={"variant": "C"}))
    layer = model.decoder.layers[-1]
    x, other = torch.randn(1, 64, 24, 24), torch.randn(1, 64, 24, 24)
    y = layer.fidelity(x, {1: other})
    torch.testing.assert_close(y[:, :, :12], x[:, :, :12])
    torch.testing.assert_close(y[:, :, 12:], x[:, :, 12:] + other[:, :, 12:])


def test_instance_norm_does_not_kill_the_channel_attention():
    """After an instance norm every channel's mean is its bias; gates made from it would be the same for every input."""
    torch.manual_seed(0)
    block = SEBasicBlock(4, 8, 1, "instance", True, "se")
    gates = []
    block.se.fc.register_forward_hook(lambda module, inputs, output: gates.append(output))
    block(torch.randn(1, 4, 6, 6))
    block(torch.randn(1, 4, 6, 6) * 3 + 1)
    assert (gates[0] - gates[1]).abs().max() > 1e-3
    normed = block.bn2(torch.randn(1, 8, 6, 6) * 3 + 1).mean((2, 3))
    np.testing.assert_allclose(normed.detach(), block.bn2.bias.detach()[None], atol=1e-6)  # why


def test_wrong_shapes_are_named():
    model = Radio(TINY.model)
    target, reference, mel = batch(TINY.model, 1)
    with pytest.raises(InputError, match=r"target: this model takes \(B, 3, 48, 48\), not \(1, 3, 40, 40\)"):
        model(target[:, :, :40, :40], reference, mel)
    with pytest.raises(InputError, match=r"mel: this model takes \(B, 1, 80, 20\), not \(1, 1, 80, 16\)"):
        model(target, reference, mel[..., :16])
    with pytest.raises(InputError, match="sync discriminator takes \\(B, 5, 3, H, W\\)"):
        SyncDiscriminator(TINY.sync)(target[None], mel)


def test_impossible_models_are_refused():
    with pytest.raises(UsageError, match="cannot be halved"):
        presets.load(overrides=["model.size=100"])
    with pytest.raises(UsageError, match="vit_dim 100 is no multiple of heads 8"):
        presets.load(overrides=["model.vit_dim=100"])
    with pytest.raises(UsageError, match="vit_blocks 9 is more than layers 6"):
        presets.load(overrides=["model.vit_blocks=9"])
    with pytest.raises(UsageError, match="a 50-pixel map is not made of 2-pixel patches"):
        presets.load(overrides=["model.size=200", "model.layers=4"])

"""Operations against numbers of the upstream code (tests/golden/stylegan2_ops, tests/golden/clovaai_resnetse)."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from golden.seeded_weights import digest, fill
from golden.synthetic_inputs import image

from lipsync_eval.baselines.kit.network.discriminator import Discriminator, minibatch_stddev
from lipsync_eval.baselines.kit.network.stylegan import ModulatedConv2d, StyledConv, ToRGB, upfirdn2d
from lipsync_eval.baselines.radio.network.resnet_se import ResNetSE
from lipsync_eval.errors import InputError

GOLDEN = Path(__file__).parent.parent / "golden"
BIAS_ONE = [(r"modulation\.bias$", 1.0)]


def case(name):
    with np.load(GOLDEN / name) as file:
        return dict(file)


def random(seed, *shape):
    return torch.from_numpy(np.random.default_rng([8011, int(seed)]).standard_normal(shape).astype(np.float32))


def load(module, seed, prefix="", equal_lr=True, gain=1.0, **more):
    """Seeded weights for a module; `prefix` goes before every key, as the golden README says."""
    state = {prefix + key: value for key, value in module.state_dict().items()}
    filled = fill(state, seed, gain=gain, equal_lr=equal_lr, **more)
    module.load_state_dict({key[len(prefix) :]: value for key, value in filled.items()})
    return digest(filled)


def close(ours, golden, rtol=1e-4, atol=1e-5):
    np.testing.assert_allclose(ours.detach().numpy(), golden, rtol=rtol, atol=atol)


def crc(tensor):
    return zlib.crc32(np.ascontiguousarray(tensor.numpy()).tobytes())


@pytest.mark.parametrize("name", ["u0", "u1", "u2", "u3"])
def test_upfirdn2d(name):
    z = case("stylegan2_ops/case1_upfirdn2d.npz")
    factors, pad = z[f"{name}_upxy_downxy"].tolist(), tuple(z[f"{name}_pad_x0x1y0y1"].tolist())
    x, kernel = torch.from_numpy(z[f"{name}_x"]), torch.from_numpy(z[f"{name}_kernel"])
    y = upfirdn2d(x, kernel, tuple(factors[:2]), tuple(factors[2:]), pad)
    close(y, z[f"{name}_y"])


@pytest.mark.parametrize("name", ["m0", "m1", "m2", "m3", "m4", "m5"])
def test_modulated_conv(name):
    z = case("stylegan2_ops/case2_modconv.npz")
    numbers = z[f"{name}_seed_B_cin_cout_k_sdim_h_w_demod_up_down"].tolist()
    seed, batch, c_in, c_out, k, style_dim, h, w, demod, up, down = numbers
    conv = ModulatedConv2d(c_in, c_out, k, style_dim, demodulate=bool(demod), upsample=bool(up), downsample=bool(down))
    assert sorted(f"{key} {tuple(v.shape)}" for key, v in conv.state_dict().items()) == sorted(z[f"{name}_keys_shapes"])
    assert load(conv, seed, f"{name}.", offset=BIAS_ONE) == z[f"{name}_weights_digest"]
    x = random(seed, batch, c_in, h, w)
    assert crc(x) == z[f"{name}_x_crc32"]
    close(conv(x, random(seed + 1000, batch, style_dim)), z[f"{name}_y"])


def test_styled_conv_and_to_rgb():
    z = case("stylegan2_ops/case3_styledconv_torgb.npz")
    seed, batch, c_in, c_out, h, w, style_dim, up = z["seed_B_cin_cout_h_w_sdim_up"].tolist()
    conv, rgb = StyledConv(c_in, c_out, style_dim, upsample=bool(up)), ToRGB(c_out, style_dim)
    assert load(conv, seed, "conv.", offset=BIAS_ONE) == z["conv_digest"]
    assert load(rgb, seed, "to_rgb.", offset=BIAS_ONE) == z["to_rgb_digest"]
    x, style = random(seed, batch, c_in, h, w), random(seed + 1000, batch, style_dim)
    assert crc(x) == z["x_crc32"]
    styled = conv(x, style, random(seed + 2000, batch, 1, 2 * h, 2 * w))
    close(styled, z["styled"])
    close(rgb(styled, style), z["rgb_noskip"])
    close(rgb(styled, style, random(seed + 3000, batch, 3, h, w)), z["rgb_skip"])


def test_discriminator_64():
    z = case("stylegan2_ops/case4_discriminator64.npz")
    size, batch = int(z["size"]), int(z["batch"])
    d = Discriminator(size, int(z["channel_multiplier"]))
    assert sorted(f"{key} {tuple(v.shape)}" for key, v in d.state_dict().items()) == sorted(z["keys_shapes"])
    assert load(d, int(z["weights_seed"]), offset=BIAS_ONE) == z["weights_digest"]
    frames = np.stack([image(int(z["image_seed0"]) + i, size, size) for i in range(batch)])
    x = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        features = d.features(x)
        close(features.mean((1, 2, 3)), z["feat_mean"])
        close(features.std((1, 2, 3)), z["feat_std"])
        close(features[:, :8], z["feat_ch0_7"])
        close(minibatch_stddev(features)[:, -1, 0, 0], z["stddev"])
        close(d(x), z["score"])


def test_minibatch_stddev_groups_by_stride():
    """Eight samples: j and j + 2 share a group; a batch of 6 has no groups of 4."""
    x = torch.arange(8.0).reshape(8, 1, 1, 1).repeat(1, 2, 3, 3)
    extra = minibatch_stddev(x)[:, -1, 0, 0]
    expected = np.std([0, 2, 4, 6])
    np.testing.assert_allclose(extra.numpy(), np.full(8, expected), rtol=1e-5)
    with pytest.raises(InputError, match="multiple of 4 frames, not 6"):
        minibatch_stddev(torch.zeros(6, 2, 3, 3))


def test_resnet_se_34l_sap():
    z = case("clovaai_resnetse/case1_34L_SAP.npz")
    net = ResNetSE(int(z["nOut"])).eval()
    ours = {f"{key} {tuple(v.shape)}" for key, v in net.state_dict().items()}
    assert ours == {key for key in z["keys_shapes"] if not key.startswith("torchfb")}
    scale = [(r"^attention$", 0.1), (r"^conv1\.weight$", 6)]
    filled = load(net, int(z["weights_seed"]), equal_lr=False, gain=float(z["gain"]), scale=scale)
    assert filled == z["weights_digest_without_torchfb"]
    with torch.no_grad():
        features = net.features(torch.from_numpy(z["mel_norm"])[:, None])
        assert list(features.shape) == z["layer4_shape"].tolist()
        close(features.std((1, 2, 3)), z["layer4_std"], 1e-3, 1e-4)
        pooled = net.pool(features)
        close(pooled, z["pooled"], 1e-3, 1e-4)
        close(net.fc(pooled), z["embedding"], 1e-3, 1e-4)


def test_kernel_buffers_are_normalised():
    conv = ModulatedConv2d(2, 2, 3, 4, upsample=True)
    assert conv.blur.kernel.sum().item() == pytest.approx(4.0)
    with pytest.raises(InputError, match="cannot upsample and downsample"):
        ModulatedConv2d(2, 2, 3, 4, upsample=True, downsample=True)

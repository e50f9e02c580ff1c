"""Eqs 3 and 4 by hand; what moves stage 1; HuBERT's three public layouts."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.personatalk import micro

from lipsync_eval.baselines.kit.training.dry_run import parameters
from lipsync_eval.baselines.personatalk.config import Stage1Config, Stage2Config
from lipsync_eval.baselines.personatalk.geometry import points68
from lipsync_eval.baselines.personatalk.network import hubert
from lipsync_eval.baselines.personatalk.network.attention import attention, positions
from lipsync_eval.baselines.personatalk.network.stage1 import GeometryNetwork
from lipsync_eval.baselines.personatalk.network.stage2 import Renderer
from lipsync_eval.baselines.personatalk.training.loading import displacements, stretches, style_code
from lipsync_eval.errors import RefusedCheckpoint


def test_eq_3_by_hand():
    q, k, v = torch.tensor([[[2.0, 0]]]), torch.tensor([[[1.0, 0], [0, 1]]]), torch.tensor([[[1.0], [3.0]]])
    a = math.exp(2 / math.sqrt(2))
    assert float(attention(q, k, v)) == pytest.approx((a * 1 + 1 * 3) / (a + 1), abs=1e-6)


@pytest.fixture
def network():
    torch.manual_seed(0)
    found = GeometryNetwork(micro().stage1, points68.topology()).eval().requires_grad_(False)
    torch.nn.init.normal_(found.decode.weight, std=0.1)
    return found


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    mean = torch.tensor(points68.topology().mean, dtype=torch.float32)
    sound = torch.tensor(rng.uniform(-1, 1, (1, 48, 80)), dtype=torch.float32)
    expression = mean + torch.tensor(rng.normal(0, 0.05, (2, 9, 68, 3)), dtype=torch.float32)
    return sound, expression, mean[None]


def test_sound_and_style_move_every_frame(network, inputs):
    """The first literal reading would lose the time axis."""
    sound, expression, _ = inputs
    audio = network.audio(sound, 12)
    one, other = network.style_of(expression)
    b = network.stylise(audio, one[None])
    assert b.shape == (1, 12, 16)
    moved = (network.stylise(audio, other[None]) - b).abs().amax(2)
    assert (moved > 1e-5).all()
    assert (network.stylise(network.audio(-sound, 12), one[None]) - b).abs().amax() > 1e-3


def test_but_for_places_the_injection_follows_permuted_sound(network, inputs, monkeypatch):
    sound, expression, _ = inputs
    audio, style = network.audio(sound, 12), network.style_of(expression)[:1]
    order = torch.randperm(12)
    assert not torch.allclose(
        network.stylise(audio[:, order], style), network.stylise(audio, style)[:, order], atol=1e-5
    )
    monkeypatch.setattr(
        "lipsync_eval.baselines.personatalk.network.stage1.positions", lambda n, d, device: torch.zeros(n, d)
    )
    found = network.stylise(audio[:, order], style)
    torch.testing.assert_close(found, network.stylise(audio, style)[:, order], atol=1e-5, rtol=1e-4)


def test_the_template_changes_the_output(network, inputs):
    """The second literal reading: a softmax over one key; the template still comes through."""
    sound, expression, template = inputs
    style = network.style_of(expression)[:1]
    first = network(sound, style, template, 12)
    assert first.shape == (1, 12, len(points68.topology().low), 3)
    assert (network(sound, style, template + 0.1 * template.abs(), 12) - first).abs().amax() > 1e-4


def test_style_is_mean_and_spread_of_valid_frames(network, inputs):
    expression = inputs[1]
    codes = network.encode_vertices(expression)
    by_hand = network.style(torch.cat([codes.mean(1), (codes.var(1, unbiased=False) + 1e-8).sqrt()], 1))
    torch.testing.assert_close(network.style_of(expression), by_hand)
    valid = torch.arange(9).expand(2, 9) < 5
    torch.testing.assert_close(network.style_of(expression, valid), network.style_of(expression[:, :5]))
    torch.testing.assert_close(network.style_of(expression[:, torch.randperm(9)]), by_hand, atol=1e-5, rtol=1e-4)


def test_without_style_it_is_zero(inputs):
    config = micro(None, "stage1.style=false").stage1
    assert not GeometryNetwork(config, points68.topology()).style_of(inputs[1]).any()


def test_a_new_network_gives_the_template(inputs):
    network = GeometryNetwork(micro().stage1, points68.topology())
    assert not network(inputs[0], network.style_of(inputs[1])[:1], inputs[2], 12).any()


def test_long_audio_is_faded_window_into_window(network, inputs):
    assert stretches(20, 20, 5) == [(0, 20)] and stretches(36, 20, 5) == [(0, 20), (15, 35), (16, 36)]
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, 640 * 33 + 9).astype(np.float32)
    style = style_code(network, inputs[1][0].double().numpy())
    found = displacements(network, samples, style, inputs[2][0].double().numpy())
    assert found.shape == (34, len(points68.topology().low), 3) and np.isfinite(found).all()
    alone = displacements(network, samples[: 640 * 20], style, inputs[2][0].double().numpy())
    np.testing.assert_allclose(found[:10], alone[:10], atol=0.05)  # mel at the cut differs a little


def test_positions_are_the_usual_sinusoids():
    found = positions(3, 4, torch.device("cpu"))
    assert found[0].tolist() == [0, 1, 0, 1]
    assert found[2].tolist() == pytest.approx([math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)], abs=1e-6)


@pytest.mark.parametrize(("width", "millions"), [(512, 21.0), (256, 5.7)])
def test_stage_1_has_the_specifications_parameters(width, millions):
    face = SimpleNamespace(count=468, mean=np.zeros((468, 3)), low=np.arange(300))
    network = GeometryNetwork(Stage1Config(width=width), face)  # type: ignore[arg-type]
    without_hubert = parameters(network) - parameters(network.audio.hubert)
    assert without_hubert / 1e6 == pytest.approx(millions, abs=0.05)


# --- stage 2 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "width", "millions"), [(256, 256, 5.6), (256, 128, 2.5), (128, 64, 0.35)])
def test_stage_2_has_the_specifications_parameters(size, width, millions):
    with torch.device("meta"):
        assert parameters(Renderer(Stage2Config(size=size, width=width))) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.fixture
def renderer():
    torch.manual_seed(0)
    return Renderer(Stage2Config(size=32, width=8)).eval().requires_grad_(False)


def pictures(n_face=5, n_lip=5, batch=2, size=32):
    made = torch.Generator().manual_seed(1)

    def rand(*shape):
        return torch.rand(*shape, generator=made)

    face, lip = (batch, n_face, 3, size, size), (batch, n_lip, 3, size, size)
    mask = torch.zeros(batch, size // 4, size // 4)
    mask[:, 4:6, 2:6], mask[:, 3, 2:6] = 1, 0.5
    return rand(batch, 3, size, size), mask, rand(*face) * 2 - 1, rand(*face), rand(*lip) * 2 - 1, rand(*lip)


def test_eq_4_by_hand_and_restricted_queries(renderer):
    pncc, mask, *references = pictures()
    found = renderer(pncc, mask, *references)
    known = []
    for which, frames, pnccs in (("face", *references[:2]), ("lip", *references[2:])):
        geometry, texture = renderer.encode(frames.flatten(0, 1), pnccs.flatten(0, 1))
        known.append(renderer.know(which, geometry.unflatten(0, (2, 5)), texture.unflatten(0, (2, 5))))
    query = renderer.geometry(pncc).flatten(2).transpose(1, 2)
    share = mask.flatten(1)[..., None]
    whole = renderer.lip(query, known[1]) * share + renderer.face(query, known[0]) * (1 - share)
    torch.testing.assert_close(renderer.sample(query, *known, mask.flatten(1)), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found, renderer.decode(whole, pncc), atol=1e-5, rtol=1e-4)
    assert found.shape == (2, 3, 32, 32) and found.abs().max() <= 1


def test_any_number_of_references_and_any_order(renderer):
    pncc, mask, *few = pictures()
    *_, lips, lip_pnccs = pictures(n_lip=25)
    assert renderer(pncc, mask, *few[:2], lips, lip_pnccs).shape == (2, 3, 32, 32)
    order = torch.randperm(5)
    again = renderer(pncc, mask, *few[:2], few[2][:, order], few[3][:, order])
    torch.testing.assert_close(again, renderer(pncc, mask, *few), atol=1e-5, rtol=1e-4)


def test_lip_references_reach_the_lips_alone(renderer):
    pncc, mask, *references = pictures()
    query = renderer.geometry(pncc).flatten(2).transpose(1, 2)
    faces, lips, others = (
        renderer.know(which, *(x.unflatten(0, (2, 5)) for x in renderer.encode(a.flatten(0, 1), b.flatten(0, 1))))
        for which, a, b in (("face", *references[:2]), ("lip", *references[2:]), ("lip", -references[2], references[3]))
    )
    moved = renderer.sample(query, faces, lips, mask.flatten(1)) - renderer.sample(
        query, faces, others, mask.flatten(1)
    )
    assert (moved.abs().amax(2)[mask.flatten(1) > 0] > 1e-6).all()
    assert not moved[mask.flatten(1) == 0].any()


def test_a_single_layer_has_fewer_parameters():
    both, single = (Renderer(Stage2Config(size=32, width=8, attention=a)) for a in ("dual", "single"))
    assert parameters(both) > parameters(single)
    assert single(*pictures()).shape == (2, 3, 32, 32)


def test_the_renderer_learns_one_frame_by_heart():
    torch.manual_seed(0)
    pncc, mask, frames, *_ = pictures(1, 1, batch=1)
    smooth = torch.nn.functional.interpolate(frames[:, 0], size=8, mode="area")
    target = torch.nn.functional.interpolate(smooth, size=32, mode="bilinear")
    references = (target[:, None], pncc[:, None], target[:, None], pncc[:, None])
    net = Renderer(Stage2Config(size=32, width=16))
    adam = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(150):
        loss = (net(pncc, mask, *references) - target).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    square = (net(pncc, mask, *references).detach() - target).square().mean()
    assert 10 * math.log10(4 / float(square)) > 27


# --- HuBERT ---------------------------------------------------------------------------------------------------------


def small():
    torch.manual_seed(0)
    net = hubert.Hubert(32, 16, 64, 4, 2).eval().requires_grad_(False)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return net


def transformers_names(state, prefix=""):
    def name(k):
        if k.startswith("feature_extractor."):
            return k.replace(".0.weight", ".conv.weight").replace(".2.", ".layer_norm.")
        if k.startswith("encoder.layers."):
            k = k.replace(".self_attn_layer_norm.", ".layer_norm.").replace(".self_attn.", ".attention.")
            return k.replace(".fc1.", ".feed_forward.intermediate_dense.").replace(
                ".fc2.", ".feed_forward.output_dense."
            )
        k = k.replace("encoder.pos_conv.0", "encoder.pos_conv_embed.conv")
        if k.startswith(("layer_norm", "post_extract_proj")):
            k = "feature_projection." + k.replace("post_extract_proj", "projection")
        return k

    return {prefix + name(k): v for k, v in state.items()}


def torchaudio_names(state):
    return {
        k.replace("encoder.", "encoder.transformer.").replace("feature_projection.", "encoder.feature_projection."): v
        for k, v in transformers_names(state).items()
    }


def parametrised(state):
    pairs = {
        "conv.weight_g": "conv.parametrizations.weight.original0",
        "conv.weight_v": "conv.parametrizations.weight.original1",
    }
    for old, new in pairs.items():
        state = {k.replace(old, new): v for k, v in state.items()}
    return state


def test_three_public_layouts_give_equal_outputs(tmp_path):
    net, samples = small(), torch.randn(1, 8000)
    state, wanted = net.state_dict(), net(samples)
    assert wanted.shape == (1, (8000 - 80) // 320, 32)
    files = {
        "fairseq": {
            "model": {**state, "mask_emb": torch.zeros(3), "label_embs_concat": torch.zeros(2)},
            "cfg": {"a": 1},
        },
        "torchaudio": torchaudio_names(state),
        "transformers": {**transformers_names(state, "hubert."), "hubert.masked_spec_embed": torch.zeros(3)},
        "transformers-new": parametrised(transformers_names(state)),
    }
    for name, held in files.items():
        torch.save(held, tmp_path / f"{name}.pt")
        again = hubert.Hubert(32, 16, 64, 4, 2).eval()
        hubert.load(tmp_path / f"{name}.pt", again)
        torch.testing.assert_close(again(samples), wanted, msg=name)
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(RefusedCheckpoint, match="fairseq, torchaudio or transformers"):
        hubert.load(tmp_path / "other.pt", small())


def test_features_come_at_the_times_of_frames():
    features = torch.arange(100.0)[None, :, None]  # feature k is centred at sample 200 + 320 k
    found = hubert.at_frames(features, 20)[0, :, 0]
    assert found[3] == pytest.approx((3.5 * 640 - 200) / 320)
    assert hubert.at_frames(features[:, :1], 3).shape == (1, 3, 1)


def test_against_transformers():
    transformers = pytest.importorskip("transformers", reason="the peers environment has it")
    config = transformers.HubertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        vocab_size=4,
    )
    peer = transformers.HubertModel(config).eval()
    net = hubert.Hubert(32, 16, 64, 4, 2).eval()
    net.load_state_dict(hubert.from_public(dict(peer.state_dict()), "peer"))
    samples = torch.randn(1, 8000)
    with torch.inference_mode():
        torch.testing.assert_close(net(samples), peer(samples).last_hidden_state, atol=1e-4, rtol=1e-4)

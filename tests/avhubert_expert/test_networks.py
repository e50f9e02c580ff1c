"""Shapes, counts, what is hidden and what is frozen."""

import pytest
import torch
from support.avhubert_expert import SIZE, lip_expert, micro

from lipsync_eval.baselines.avhubert_expert.config import AVHubertExpertConfig, DiscriminatorConfig, ModelConfig
from lipsync_eval.baselines.avhubert_expert.network.discriminator import SpectralDiscriminator
from lipsync_eval.baselines.avhubert_expert.network.generator import ExpertGenerator
from lipsync_eval.baselines.avhubert_expert.network.lip_expert import LipExpert, copy_audio_tower, lower_halves
from lipsync_eval.baselines.avhubert_expert.training.generator import ExpertRecipe
from lipsync_eval.errors import InputError, UsageError


def count(module, trained=False):
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)


def test_parameter_counts_of_the_specification():
    config = AVHubertExpertConfig()
    with torch.device("meta"):
        model, expert = ExpertGenerator(config), LipExpert(config.expert)
    assert count(model.identity) == count(model.pose) == 10_756_160
    assert count(model.audio) == count(expert.audio_encoder) == 3_403_264
    assert count(expert.face_encoder) == 13_031_808
    assert count(model, trained=True) == 34_627_107
    discriminator = SpectralDiscriminator(config.discriminator, 96)
    assert sum(p.numel() for p in discriminator.parameters()) == 11_154_369


@pytest.mark.parametrize("skip", ["add", "concat"])
@pytest.mark.parametrize(("size", "width"), [(96, 64), (48, 32), (24, 16)])
def test_output(size, width, skip):
    config = micro(model={"size": size, "width": width, "skip": skip})
    torch.manual_seed(0)
    model = ExpertGenerator(config)
    out = model(torch.rand(2, 3, size, size), torch.rand(2, 3, size, size), torch.randn(2, 1, 80, 16))
    assert out.shape == (2, 3, size, size) and out.min() >= 0 and out.max() <= 1


def test_the_lower_half_of_the_target_is_never_seen():
    torch.manual_seed(0)
    model = ExpertGenerator(micro()).eval()
    target, identity, mel = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 3, SIZE, SIZE), torch.randn(2, 1, 80, 16)
    other = target.clone()
    other[:, :, SIZE // 2 :] = torch.rand(2, 3, SIZE // 2, SIZE)
    assert torch.equal(model(target, identity, mel), model(other, identity, mel))
    target.requires_grad_()
    model(target, identity, mel).sum().backward()
    assert target.grad[:, :, SIZE // 2 :].abs().max() == 0 and target.grad[:, :, : SIZE // 2].abs().max() > 0


def test_the_mel_moves_the_output():
    torch.manual_seed(0)
    model, image = ExpertGenerator(micro()), torch.rand(2, 3, SIZE, SIZE)
    copy_audio_tower(lip_expert(), model.audio)
    a, b = (model(image, image, torch.randn(2, 1, 80, 16) * x) for x in (0.1, 4.0))
    assert not torch.equal(a, b)


def test_other_shapes_are_refused():
    model, image = ExpertGenerator(micro()).eval(), torch.rand(1, 3, SIZE, SIZE)
    with pytest.raises(InputError, match=r"target: this model takes \(B, 3, 24, 24\)"):
        model(torch.rand(1, 3, 96, 96), image, torch.randn(1, 1, 80, 16))
    with pytest.raises(InputError, match=r"mel: this model takes \(B, 1, 80, 16\)"):
        model(image, image, torch.randn(1, 1, 80, 20))
    with pytest.raises(InputError, match="lip expert takes"):
        LipExpert(micro().expert)(torch.rand(1, 4, 3, 96, 96), torch.randn(1, 1, 80, 16))
    with pytest.raises(UsageError, match="3 times a power of two"):
        micro(model={"size": 64})
    with pytest.raises(UsageError, match="sync_clip"):
        micro(train={"precision": "fp16"})


@pytest.mark.parametrize("region", ["whole", "lower"])
@pytest.mark.parametrize("size", [96, 48, 24])
def test_the_discriminator(size, region):
    torch.manual_seed(0)
    net = SpectralDiscriminator(DiscriminatorConfig(width=4, region=region), size)
    image = torch.rand(3, 3, size, size) * 2 - 1
    for _ in range(20):  # power iterations
        logits = net(image)
    assert logits.shape == (3,)
    convolutions = [layer for layer in net.layers if isinstance(layer, torch.nn.Conv2d)]
    assert len(convolutions) == 7
    for layer in convolutions:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
    if region == "lower":
        other = image.clone()
        other[:, :, : size // 2] = 0
        net.eval()
        assert torch.equal(net(image), net(other))


def test_what_the_lip_expert_sees():
    frames = torch.zeros(1, 5, 3, 96, 96)
    frames[0, 2, 0, 60] = 1.0  # red of the third frame, in the lower half
    seen = lower_halves(frames)
    assert seen.shape == (1, 15, 48, 96)
    assert seen[0, 8, 12].eq(1).all() and seen[0, 6, 12].eq(0.5).all()  # BGR: red is the last of three; 0 is grey
    assert lower_halves(torch.zeros(1, 5, 3, 48, 48)).shape == (1, 15, 48, 96)


def test_the_audio_tower_is_frozen(expert):
    model = ExpertRecipe(micro(expert={"weights": str(expert)})).generator()
    before = {k: v.clone() for k, v in model.audio.state_dict().items()}
    model.train()
    assert not model.audio.training and model.identity.training
    optimizer = torch.optim.Adam(ExpertRecipe(micro()).groups(model), lr=0.1)
    image = torch.rand(4, 3, SIZE, SIZE)
    model(image, image, torch.randn(4, 1, 80, 16)).sum().backward()
    optimizer.step()
    assert all(torch.equal(v, before[k]) for k, v in model.audio.state_dict().items())
    assert not any(p.requires_grad for p in model.audio.parameters())


def test_widths():
    assert ModelConfig().sides == (96, 48, 24, 12, 6, 3)
    assert [ModelConfig().channels(s) for s in ModelConfig().sides] == [16, 32, 64, 128, 256, 512]
    assert ModelConfig(size=48, width=128).sides == (48, 24, 12, 6, 3)

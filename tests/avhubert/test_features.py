"""Encoder features against the official code: every file format, modality, layer and length, padded batches."""

import numpy as np
import pytest
import torch
from support.avhubert import GOLDEN, TINY, arrays, needs_golden, network

from lipsync_eval.device import pick
from lipsync_eval.errors import InputError
from lipsync_eval.features.avhubert import AVHuBERT, AVHuBERTConfig, Extractor, features, video_input
from lipsync_eval.features.avhubert.extract import _CHUNK

FILES = {
    "A_finetuned/avhubert_tiny_finetuned.pt": "tiny_finetuned",
    "A_finetuned/avhubert_tiny_finetuned_omegaconf.pt": "tiny_finetuned",
    "A_finetuned/avhubert_tiny_finetuned_namespace.pt": "tiny_finetuned",
    "B_pretrained/avhubert_tiny_pretrained.pt": "tiny_pretrained",
    "A_finetuned/avhubert_base2l_finetuned.pt": "base2l_finetuned",
}
TOLERANCE = 5e-4
SMALL = AVHuBERTConfig(layers=2, dim=32, ffn=48, heads=4, normalize=True, image_mean=0.421, image_std=0.165)


@pytest.fixture(scope="module")
def inputs():
    return arrays("C_features/inputs.npz")


@needs_golden
@pytest.mark.parametrize("file", FILES)
def test_features_equal_official(file, inputs):
    """features() over chunks and the whole clip, against one official pass; T up to 150 (positional kernel: 128)."""
    model = network(GOLDEN / file)
    golden = {k: v for k, v in arrays(f"C_features/feat_{FILES[file]}.npz").items() if not k.startswith("pad")}
    checked = 0
    for key, expected in golden.items():
        length, kind, *stage = key.split("_", 2)
        video = inputs[f"video_u8_{length}"] if kind != "audio" else None
        audio = inputs[f"audio_{length}"].T if kind != "video" else None
        if (stage and not stage[0].startswith("layer")) or (length != "T25" and "_finetuned_" in file):
            continue  # the other two dialects hold the same tensors
        found = features(model, video, audio, layer=int(stage[0].removeprefix("layer")) if stage else None)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, err_msg=key)
        checked += 1
    assert checked >= 5, "some golden features were compared"


@needs_golden
@pytest.mark.parametrize("file", FILES)
def test_stages_equal_official(file, inputs):
    """Front ends, concatenation, layer norm and projection before the transformer."""
    extractor = Extractor(network(GOLDEN / file))
    model = extractor.model
    golden = arrays(f"C_features/feat_{FILES[file]}.npz")
    for length in (25, 60, 150):
        if f"T{length}_both_fused" not in golden:
            continue
        seen = torch.from_numpy(extractor.see(inputs[f"video_u8_T{length}"]))
        heard = torch.from_numpy(extractor.hear(inputs[f"audio_T{length}"].T))
        both = torch.cat([heard, seen], dim=1).transpose(1, 2)
        stages = {
            "both_features_video": seen[0],
            "both_features_audio": heard[0],
            "both_fused": model.fuse(seen, heard)[0],
            "audio_fused": model.fuse(None, heard)[0],
            "video_fused": model.fuse(seen, None)[0],
            "both_fused_concat": both[0],
            "both_fused_ln": model.layer_norm(both)[0],
        }
        for name, found in stages.items():
            if (expected := golden.get(f"T{length}_{name}")) is not None:
                np.testing.assert_allclose(found, expected, atol=TOLERANCE, err_msg=f"T{length}_{name}")


@needs_golden
@pytest.mark.parametrize("kind", ["both", "video", "audio"])
def test_padded_batch_equals_official_and_each_clip_alone(kind, inputs):
    model = network(TINY)
    golden = arrays("C_features/feat_tiny_finetuned.npz")
    lengths, longest = (41, 29), 41
    video, audio = torch.zeros(2, 1, longest, 88, 88), torch.zeros(2, 104, longest)
    for i, n in enumerate(lengths):
        video[i, 0, :n] = torch.from_numpy(video_input(inputs[f"pad_video_u8_{n}"]))
        audio[i, :, :n] = torch.from_numpy(inputs[f"pad_audio_{n}"])
    given = (video if kind != "audio" else None, audio if kind != "video" else None)
    mask = torch.from_numpy(golden["pad_mask"])
    with torch.inference_mode():
        masked, bare = model(*given, mask), model(*given)
    np.testing.assert_allclose(bare, golden[f"pad_{kind}_nomask"], atol=TOLERANCE)
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(masked[i, :n], golden[f"pad_{kind}"][i, :n], atol=TOLERANCE)
        alone = features(
            model,
            inputs[f"pad_video_u8_{n}"] if kind != "audio" else None,
            inputs[f"pad_audio_{n}"].T if kind != "video" else None,
        )
        np.testing.assert_allclose(masked[i, :n], alone, atol=2e-5)


def _random(seed=0, config=SMALL):
    torch.manual_seed(seed)
    model = AVHuBERT(config).requires_grad_(False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return model


def test_chunks_do_not_matter(monkeypatch):
    extractor = Extractor(_random())
    crops = np.random.default_rng(0).integers(0, 256, (23, 88, 88), np.uint8)
    whole = extractor.see(crops)
    for chunk in (1, 2, 3, 7, 22):
        monkeypatch.setitem(_CHUNK, "cpu", chunk)
        np.testing.assert_allclose(extractor.see(crops), whole, atol=1e-5, rtol=0)


def test_a_missing_modality_is_zeros_after_its_projection():
    model = _random()
    rng = np.random.default_rng(1)
    audio = rng.normal(size=(9, 104)).astype(np.float32)
    extractor = Extractor(model)
    heard = extractor.hear(audio)
    np.testing.assert_array_equal(features(model, audio=audio), extractor.encode(np.zeros_like(heard), heard))
    silent = features(model, rng.integers(0, 256, (9, 88, 88), np.uint8), np.zeros((9, 104), np.float32))
    assert np.abs(silent - features(model, rng.integers(0, 256, (9, 88, 88), np.uint8))).max() > 1e-3


def test_repeated_runs_are_equal_and_one_frame_works():
    model = _random()
    rng = np.random.default_rng(2)
    video, audio = rng.integers(0, 256, (1, 96, 96), np.uint8), rng.normal(size=(1, 104)).astype(np.float32)
    first = features(model, video, audio)
    assert first.shape == (1, SMALL.dim)
    np.testing.assert_array_equal(first, features(model, video, audio))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_gpu_equals_cpu():
    pick("cuda")
    rng = np.random.default_rng(4)
    video, audio = rng.integers(0, 256, (70, 88, 88), np.uint8), rng.normal(size=(70, 104)).astype(np.float32)
    np.testing.assert_allclose(
        features(_random().to("cuda"), video, audio), features(_random(), video, audio), atol=TOLERANCE
    )


def test_training_mode_does_not_exist():
    model = _random()
    torch.nn.Sequential(model).train()
    assert not any(m.training for m in model.modules())


def test_bfloat16_is_near_and_not_equal():
    model = _random()
    video = np.random.default_rng(3).integers(0, 256, (12, 88, 88), np.uint8)
    full, half = features(model, video), features(model, video, dtype="bfloat16")
    assert half.dtype == np.float32
    assert 0 < np.abs(full - half).max() < 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: features(m), "got neither"),
        (
            lambda m: features(m, np.zeros((4, 88, 88), np.uint8), np.zeros((5, 104), np.float32)),
            "4 frames and 5 audio",
        ),
        (lambda m: features(m, audio=np.zeros((5, 104), np.float32), layer=3), "layers 1..2"),
        (lambda m: features(m, audio=np.zeros((5, 104), np.float32), dtype="float16"), "float32, bfloat16"),
        (lambda m: m(torch.zeros(1, 1, 4, 96, 96), None), "see video_input"),
        (lambda m: m(None, torch.zeros(1, 5, 104)), "see audio_input"),
        (lambda m: m(None, torch.zeros(1, 104, 5), torch.zeros(1, 4, dtype=torch.bool)), "agree in batch and length"),
    ],
)
def test_wrong_input_is_explained(call, message):
    with pytest.raises(InputError, match=message):
        call(_random())

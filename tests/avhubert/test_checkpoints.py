"""What is read from official files, and what is refused and how."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.avhubert import GOLDEN, TINY, arrays, needs_golden

from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.features.avhubert import BASE, LARGE, AVHuBERT, AVHuBERTConfig, checkpoint, features, load
from lipsync_eval.features.avhubert.checkpoint import read
from lipsync_eval.weights import load_checkpoint

PREFIX = "encoder.w2v_model."


def _saved(tmp_path, held, name="file.pt"):
    torch.save(held, tmp_path / name)
    return tmp_path / name


def _small(**changes):
    given = {"layers": 2, "dim": 64, "ffn": 96, "heads": 1, "normalize": True, "image_mean": 0.421, "image_std": 0.165}
    return AVHuBERTConfig(**{**given, **changes})


def _file(tmp_path, config, cfg, prefix=PREFIX):
    torch.manual_seed(0)
    tensors = {f"{prefix}{k}": v for k, v in AVHuBERT(config).state_dict().items()}
    return _saved(tmp_path, {"cfg": cfg, "model": tensors})


@needs_golden
def test_sizes_of_the_golden_files():
    tiny = AVHuBERTConfig(layers=3, dim=96, ffn=192, heads=4, normalize=True, image_mean=0.421, image_std=0.165)
    for name in ("", "_omegaconf", "_namespace"):
        assert read(GOLDEN / "A_finetuned" / f"avhubert_tiny_finetuned{name}.pt").config == tiny
    assert read(GOLDEN / "B_pretrained/avhubert_tiny_pretrained.pt").config == tiny
    base = read(GOLDEN / "A_finetuned/avhubert_base2l_finetuned.pt").config
    assert (base.layers, base.dim, base.ffn, base.heads) == (2, BASE.dim, BASE.ffn, BASE.heads)


def test_released_sizes_have_official_parameter_counts():
    """Encoder of Base 103 M and Large 325 M parameters (Shi et al. 2022, section 4.1), less the training objective's."""
    with torch.device("meta"):
        base, large = (sum(p.numel() for p in AVHuBERT(c).parameters()) for c in (BASE, LARGE))
    assert round(base / 1e6) in range(100, 106)
    assert round(large / 1e6) in range(320, 330)


@needs_golden
def test_nothing_of_fairseq_or_omegaconf_is_imported():
    code = (
        "import sys, pathlib\n"
        "from lipsync_eval.features.avhubert.checkpoint import read\n"
        f"for f in sorted(pathlib.Path({str(GOLDEN)!r}).glob('*/*.pt')): read(f)\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('fairseq', 'omegaconf', 'hydra', 'sentencepiece')]\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_golden
def test_task_state_and_the_rest_may_be_missing(tmp_path):
    held = load_checkpoint(TINY)
    slim = _saved(tmp_path, {"cfg": _plain_cfg(), "model": {k: v.clone() for k, v in held["model"].items()}})
    golden = arrays("C_features/feat_tiny_finetuned.npz")
    video = arrays("C_features/inputs.npz")["video_u8_T25"]
    np.testing.assert_allclose(features(read(slim), video), golden["T25_video"], atol=5e-4)


def _plain_cfg():
    return {"model": {"w2v_args": {"model": {"encoder_attention_heads": 4}}}, "task": {"normalize": True}}


@pytest.mark.parametrize("prefix", [PREFIX, "w2v_encoder.w2v_model.", ""])
def test_without_cfg_the_sizes_come_from_the_tensors(tmp_path, prefix):
    path = _file(tmp_path, _small(dim=128, heads=2), None, prefix)
    assert read(path).config == _small(dim=128, heads=2)


def test_preprocessing_comes_from_the_task(tmp_path):
    cfg = {
        "model": {"w2v_args": {"task": {"image_mean": 0.5, "normalize": True}}},
        "task": {"normalize": False, "image_std": 0.2},
    }
    assert read(_file(tmp_path, _small(), cfg)).config == _small(normalize=False, image_mean=0.5, image_std=0.2)


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"model": {"encoder_layers": 12}}, "encoder_layers = 12, its tensors 2"),
        ({"model": {"encoder_embed_dim": 768}}, "encoder_embed_dim = 768, its tensors 64"),
        ({"model": {"layer_norm_first": False}}, "layer_norm_first = False; only True"),
        ({"model": {"sub_encoder_layers": 2}}, "sub_encoder_layers = 2; only 0"),
        ({"model": {"encoder_attention_heads": 5}}, "attention heads"),
        ({"task": {"image_crop_size": 96}}, "image_crop_size = 96; only 88"),
        ({"task": {"stack_order_audio": 1}}, "stack_order_audio = 1; only 4"),
    ],
)
def test_a_variant_or_a_contradiction_is_refused(tmp_path, cfg, message):
    with pytest.raises(RefusedCheckpoint, match=message):
        read(_file(tmp_path, _small(), cfg))


def test_heads_that_nobody_states_are_refused(tmp_path):
    with pytest.raises(RefusedCheckpoint, match="width 96 is no multiple of 64"):
        read(_file(tmp_path, _small(dim=96, heads=4), None))


@needs_golden
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 0.999])
def test_a_truncated_file_is_refused(tmp_path, share):
    whole = TINY.read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(RefusedCheckpoint, match=r"cut\.pt"):
        read(path)


@needs_golden
def test_a_decoder_alone_is_refused(tmp_path):
    model = load_checkpoint(TINY)["model"]
    path = _saved(tmp_path, {"model": {k: v.clone() for k, v in model.items() if k.startswith("decoder.")}})
    with pytest.raises(
        RefusedCheckpoint, match=r"decoder without an AV-HuBERT encoder.*give the whole fine-tuned file"
    ):
        read(path)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (
            {"model": {"fc.weight": torch.zeros(3)}},
            r"another network: expected .*post_extract_proj.weight, found fc.weight",
        ),
        ({"model": {"post_extract_proj.weight": torch.zeros(768, 512)}}, "no complete AV-HuBERT encoder"),
        ({"state": 3}, "no tensors under 'model'.*it holds: state"),
        ([1, 2], "no tensors under 'model'"),
    ],
)
def test_another_network_is_refused(tmp_path, held, message):
    with pytest.raises(RefusedCheckpoint, match=message):
        read(_saved(tmp_path, held))


def test_a_missing_or_misshapen_tensor_is_named(tmp_path):
    tensors = {f"{PREFIX}{k}": v for k, v in AVHuBERT(_small()).state_dict().items()}
    key = f"{PREFIX}encoder.layers.1.fc2.bias"
    with pytest.raises(RefusedCheckpoint, match=r"layers\.1\.fc2\.bias.*expected \(64,\)"):
        read(_saved(tmp_path, {"model": {k: v for k, v in tensors.items() if k != key}}))
    with pytest.raises(RefusedCheckpoint, match=r"layers\.1\.fc2\.bias"):
        read(_saved(tmp_path, {"model": {**tensors, key: torch.zeros(65)}}))


def test_no_checkpoint_at_all(tmp_path):
    path = tmp_path / "page.pt"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(RefusedCheckpoint):
        read(path)


def test_a_file_that_wants_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    buffer = io.BytesIO()
    torch.save({"model": {"x": torch.zeros(1)}, "cfg": Evil()}, buffer)
    (tmp_path / "evil.pt").write_bytes(buffer.getvalue())
    with pytest.raises(RefusedCheckpoint):
        read(tmp_path / "evil.pt")
    assert not (tmp_path / "touched").exists()


def test_the_licence_is_told_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(checkpoint, "_told", [])
    path = _file(tmp_path, _small(), None)
    with caplog.at_level(logging.WARNING, logger="lipsync_eval"):
        load(path)
        load(path)
    told = [r.message for r in caplog.records if "non-commercial research" in r.message]
    assert len(told) == 1


def test_loaded_weights_are_frozen_and_evaluating(tmp_path):
    model = load(_file(tmp_path, _small(), None))
    assert not any(p.requires_grad for p in model.parameters())
    assert not model.training

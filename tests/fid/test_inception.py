"""FID's Inception and its two resizes against pytorch-fid's and clean-fid's numbers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from golden.synthetic_inputs import crc, image
from support.perception import filled, golden

from lipsync_eval.errors import InputError, RefusedCheckpoint, UsageError
from lipsync_eval.features.inception import Inception, Pool3, clean_resize, prepare, state
from lipsync_eval.weights import fit


def tensor(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def network() -> Inception:
    g, net = golden("fid/case2_inception"), Inception()
    published = net.state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    assert len(published) == int(g["n_keys"])
    weights = filled(published, int(g["weights_seed"]), str(g["weights_digest"]), gain=float(g["gain"]))
    without_counters = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    fit(net, state(without_counters), source="golden")
    return net.eval().to(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["im0", "im1"])
def test_features(network: Inception, name: str) -> None:
    g = golden("fid/case2_inception")
    seed, h, w = map(int, g[f"{name}_seed_h_w"])
    picture = image(seed, h, w)
    assert crc(picture) == g[f"{name}_crc32"]
    with torch.inference_mode():
        found = network(prepare(tensor(picture), "pytorch"))[0].numpy()
    np.testing.assert_allclose(found, g[f"{name}_features"], rtol=1e-4, atol=1e-5)


def test_batch_norms_in_the_convolutions_change_nothing(network: Inception) -> None:
    """The network that runs gives the official features too, and those of the network as it was read."""
    g = golden("fid/case2_inception")
    runs = Pool3(copy.deepcopy(network), torch.device("cpu"))
    for name in ("im0", "im1"):
        picture = image(*map(int, g[f"{name}_seed_h_w"]))
        found = runs.embed(picture[None], "pytorch")[0]
        np.testing.assert_allclose(found, g[f"{name}_features"], rtol=1e-4, atol=1e-5)
        with torch.inference_mode():
            read = network(prepare(tensor(picture), "pytorch"))[0].numpy()
        np.testing.assert_allclose(found, read, rtol=1e-5, atol=2e-6 * np.abs(read).max())


def test_batches_do_not_matter(network: Inception) -> None:
    images = torch.stack([tensor(image(k, 96, 96))[0] for k in range(3)])
    with torch.inference_mode():
        together = network(prepare(images, "clean")).numpy()
        alone = np.concatenate([network(prepare(p[None], "clean")).numpy() for p in images])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)


def test_resizes() -> None:
    g = golden("fid/case3_cleanfid_resize_down")
    picture = image(int(g["image_seed"]), *map(int, g["image_hw"]))
    assert crc(picture) == g["image_crc32"]
    clean = clean_resize(tensor(picture))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(clean[[0, 7, 150, 298]], g["clean_299_rows_0_7_150_298"], atol=5e-5)
    np.testing.assert_allclose(clean.reshape(23, 13, 23, 13, 3).mean((1, 3)), g["clean_block_mean_13x13"], atol=1e-3)
    seen = prepare(tensor(picture), "clean").numpy()
    np.testing.assert_allclose([seen.mean(), seen.std()], g["clean_input_to_net_mean_std"], atol=1e-4)
    bilinear = (prepare(tensor(picture), "pytorch")[0].permute(1, 2, 0).numpy() + 1) * 127.5
    np.testing.assert_allclose(bilinear[[0, 150]], g["legacy_pytorch_rows_0_150"], atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(96, 96), (256, 256), (299, 300), (31, 700), (1024, 768)])
def test_clean_resize_is_pillows(height: int, width: int) -> None:
    """clean-fid resizes each channel as a float image in Pillow; up, down and both at once."""
    pillow = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    wanted = np.stack(
        [
            np.asarray(pillow.fromarray(picture[..., c].astype(np.float32)).resize((299, 299), pillow.BICUBIC))
            for c in range(3)
        ],
        -1,
    ).clip(0, 255)
    clean = clean_resize(tensor(picture))
    assert clean.dtype == torch.float32
    np.testing.assert_allclose(clean[0].permute(1, 2, 0).numpy(), wanted, atol=3e-5, rtol=0)


def test_wrong_input() -> None:
    with pytest.raises(InputError, match=r"to\(torch.uint8\)"):
        prepare(torch.rand(1, 3, 64, 64), "pytorch")
    with pytest.raises(InputError, match="2 x 2"):
        prepare(torch.zeros(1, 3, 1, 1, dtype=torch.uint8), "clean")
    with pytest.raises(UsageError, match="pytorch, clean"):
        prepare(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "lanczos")


def test_torchvision_unpatched_weights_are_refused() -> None:
    """torchvision's own file has 1000 classes and AuxLogits; its trunk has the same names, so the extra keys give it away."""
    with pytest.raises(RefusedCheckpoint, match="AuxLogits"):
        fit(
            Inception(),
            state(Inception().state_dict() | {"AuxLogits.fc.weight": torch.zeros(1000, 768)}),
            source="torchvision",
        )

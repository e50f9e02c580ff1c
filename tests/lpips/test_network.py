"""LPIPS against lpips==0.1.4's numbers, and the errors its users meet."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from golden.synthetic_inputs import crc
from support.perception import distorted, filled, golden, linear

from lipsync_eval.errors import InputError, RefusedCheckpoint, UsageError
from lipsync_eval.features.lpips import LPIPS, MIN_SIDE, NETS, state
from lipsync_eval.metrics.lpips import lpips
from lipsync_eval.weights import fit

CASES = ["case1_alex_64", "case2_vgg_64", "case3_squeeze_64", "case4_alex_192"]


def network(case: str) -> LPIPS:
    g = golden(f"lpips/{case}")
    net = LPIPS(str(g["net"]))
    trunk = {k: v for k, v in net.state_dict().items() if k.startswith("features.")}
    weights = filled(trunk, int(g["weights_seed"]), str(g["weights_digest"]), gain=float(g["gain"]))
    fit(net, state(net.net, weights | {"classifier.1.weight": torch.zeros(2, 2)}, linear(net.net)), source="golden")
    return net.eval().to(memory_format=torch.channels_last)


def images(case: str) -> tuple[np.ndarray, np.ndarray]:
    g = golden(f"lpips/{case}")
    a, b = (distorted(kind, g["image_seeds"], g["size"], g["kinds"]) for kind in "ab")
    assert crc(a) == g["images_a_crc32"] and crc(b) == g["images_b_crc32"]
    return a, b


def tensor(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    g, net = golden(f"lpips/{case}"), network(case)
    a, b = images(case)
    np.testing.assert_allclose(lpips(net, a, b), g["lpips"], rtol=1e-4, atol=1e-6)
    with torch.inference_mode():
        np.testing.assert_allclose(net.per_layer(tensor(a), tensor(b)).numpy(), g["per_layer"], rtol=1e-4, atol=1e-6)
        wrong = net(tensor(a) / 2 + 0.5, tensor(b) / 2 + 0.5, check=False).numpy()
    np.testing.assert_allclose(wrong, g["lpips_01_without_normalize"], rtol=1e-4, atol=1e-6)
    assert (g["lpips"][g["kinds"] == "same"] == 0).all()


def test_equal_images_are_exactly_0_and_batches_do_not_matter() -> None:
    net = network("case1_alex_64")
    a, b = images("case1_alex_64")
    assert (lpips(net, a, a) == 0).all()
    np.testing.assert_allclose(lpips(net, a, b, batch=1), lpips(net, a, b, batch=6), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(lpips(net, a[::-1], b[::-1])[::-1], lpips(net, a, b), rtol=1e-5, atol=1e-7)


def test_gradients_are_finite_even_for_equal_and_flat_images() -> None:
    net = network("case1_alex_64")
    a, b = (tensor(x)[:2] for x in images("case1_alex_64"))
    b = torch.stack([b[1], torch.full_like(b[0], -1.0)])
    a = torch.stack([a[1], torch.full_like(a[0], -1.0)]).requires_grad_()
    net(a, b).sum().backward()
    assert a.grad is not None and torch.isfinite(a.grad).all()
    assert (a.grad[0] != 0).any() and (a.grad[1] == 0).all()
    step = torch.zeros_like(a)
    step[0] = 1e-3 * a.grad[0] / a.grad[0].norm()
    with torch.no_grad():
        assert net(a + step, b, check=False)[0] > net(a, b, check=False)[0] > net(a - step, b, check=False)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: (x + 1) / 2, "2 \\* x - 1"),
        (lambda x: (x + 1) * 127.5, "x / 127.5 - 1"),
        (lambda x: ((x + 1) * 127.5).to(torch.uint8), "x.float\\(\\) / 127.5 - 1"),
        (lambda x: x.permute(0, 2, 3, 1), "permute\\(0, 3, 1, 2\\)"),
        (lambda x: x[:, :1], "\\(N, 3, H, W\\)"),
        (lambda x: x[:, :, :1, :1], "at least 31 x 31"),
        (lambda x: torch.where(x > 0.9, torch.nan, x), "NaN"),
    ],
)
def test_wrong_input_says_what_to_do(change: object, words: str) -> None:
    net = LPIPS("alex")
    x = tensor(images("case1_alex_64")[0])
    with pytest.raises(InputError, match=words):
        net(change(x), change(x))  # type: ignore[operator]


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match="one size"):
        LPIPS("alex")(torch.zeros(1, 3, 64, 64) - 0.5, torch.zeros(1, 3, 64, 65) - 0.5)


@pytest.mark.parametrize("net", NETS)
def test_smallest_image(net: str) -> None:
    side = MIN_SIDE[net]
    small = torch.rand(1, 3, side, side) * 2 - 1
    with torch.inference_mode():
        assert LPIPS(net).eval()(small, -small).shape == (1,)
        with pytest.raises(InputError, match="at least"):
            LPIPS(net)(small[..., 1:], small[..., 1:])


def test_numpy_front_wants_uint8_of_one_shape() -> None:
    net = LPIPS("alex").eval()
    a = np.zeros((1, 64, 64, 3), np.uint8)
    with pytest.raises(InputError, match="uint8"):
        lpips(net, a.astype(np.float32), a)
    with pytest.raises(InputError, match="one shape"):
        lpips(net, a, a[:, :32])
    with pytest.raises(InputError, match="at least 31"):
        lpips(net, a[:, :1, :1], a[:, :1, :1])


def test_an_unknown_net_and_a_foreign_file() -> None:
    with pytest.raises(UsageError, match="alex, vgg, squeeze"):
        LPIPS("resnet")
    with pytest.raises(RefusedCheckpoint, match="lins"):
        fit(LPIPS("alex"), state("alex", LPIPS("alex").state_dict(), linear("vgg")), source="mixed")


def test_torchvision_and_lpips_are_not_imported() -> None:
    code = "import sys, lipsync_eval.metrics.lpips, lipsync_eval.metrics.fid; assert not {'torch', 'torchvision', 'lpips'} & set(sys.modules), 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True)

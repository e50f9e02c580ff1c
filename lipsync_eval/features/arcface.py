"""Identity vectors: a registry row of the role `arcface` (ONNX, or an iresnet checkpoint of torch) behind one call.

Preprocessing (mean, std, colour order) is the row's, because it belongs to the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.device import Precision, as_images, computing, laid_out, pick, to_device
from lipsync_eval.errors import InputError, RefusedCheckpoint, WeightsError
from lipsync_eval.features.arcface_align import align, five_points
from lipsync_eval.networks import find, itemwise
from lipsync_eval.types import Float, Frame
from lipsync_eval.weights import WeightFile, fit, get_row, load_tensors, onnx_device, onnx_session

if TYPE_CHECKING:
    import torch

    from lipsync_eval.features.iresnet import IResNet

SIZE: Final = 112
_BATCH: Final = 16
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, 3, 112, 112) -> (N, D)"""


class FaceEmbedder:
    """Aligned faces -> unit vectors.

    Args:
        file: from weights.locate(..., role='arcface'); its row gives the preprocessing.
        device: where it runs. ONNX runs on a GPU where onnxruntime has its CUDA provider (onnxruntime-gpu), else on the CPU
            with one thread.
        precision: number format of torch checkpoints; ONNX stays float32.

    Raises:
        RefusedCheckpoint: a file that cannot be read, or is no network for 112 x 112 faces.
        WeightsError: a row without preprocessing for faces.
    """

    def __init__(self, file: WeightFile, device: str = "cpu", precision: Precision = "fp32") -> None:
        self.file = file
        facts = get_row(file.name).preprocessing
        try:
            self._mean = np.array(facts["mean"], np.float32).reshape(1, 3, 1, 1)
            self._std = np.array(facts["std"], np.float32).reshape(1, 3, 1, 1)
            self._bgr = facts["color"] == "bgr"
            self.preprocessing = f"{facts['color']} {facts['mean']} {facts['std']}"
            """What is done to an aligned face before the network, for cache keys."""
        except (KeyError, ValueError) as error:
            raise WeightsError(
                f"the row {file.name!r} has no preprocessing for faces; choose a row of the role arcface"
            ) from error
        self._run = _onnx(file, device) if file.path.suffix.lower() == ".onnx" else _torch(file, device, precision)

    def __call__(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Identity vectors of aligned faces.

        Args:
            faces: (N, 112, 112, 3) uint8 RGB.

        Returns:
            (N, D) float32, each of length 1.

        Raises:
            InputError: wrong shape or dtype, or the network gives something that is not finite.
        """
        if faces.dtype != np.uint8 or faces.ndim != 4 or faces.shape[1:] != (SIZE, SIZE, 3):
            raise InputError(
                f"ArcFace takes aligned faces (N, {SIZE}, {SIZE}, 3) uint8 RGB; got {faces.shape} {faces.dtype}: use arcface_align.align"
            )
        if not len(faces):
            return np.empty((0, 0), np.float32)
        ordered = faces[..., ::-1] if self._bgr else faces
        x = (np.ascontiguousarray(ordered.transpose(0, 3, 1, 2)).astype(np.float32) - self._mean) / self._std
        out = np.concatenate([self._run(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)])
        if out.ndim != 2 or not np.isfinite(out).all():
            raise InputError(
                f"{self.file.path.name} gave {out.shape} with NaN or infinite values where finite (N, D) was expected"
            )
        length = np.linalg.norm(out.astype(np.float64), axis=1, keepdims=True)
        unit: NDArray[np.float32] = (out / np.maximum(length, 1e-12)).astype(np.float32)
        return unit

    def embed(self, frames: list[Frame], points: Float) -> NDArray[np.float32]:
        """(N, D) unit vectors of the faces at points (N, 68, 2) in N source frames."""
        faces = [align(frame, five) for frame, five in zip(frames, five_points(points), strict=True)]
        return self(np.stack(faces)) if faces else np.empty((0, 0), np.float32)


def _onnx(file: WeightFile, device: str) -> Network:
    session = onnx_session(file.path, threads=1, device=onnx_device(device))
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = inputs[0].shape if len(inputs) == 1 else []
    if len(shape) != 4 or any(
        isinstance(n, int) and n != want for n, want in zip(shape[1:], (3, SIZE, SIZE), strict=True)
    ):
        raise RefusedCheckpoint(
            f"{file.path} is no face network: its inputs are {[(i.name, i.shape) for i in inputs]}, expected one (N, 3, {SIZE}, {SIZE})"
        )
    name, step = inputs[0].name, shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None

    def call(x: NDArray[np.float32]) -> Any:
        return session.run([outputs[0].name], {name: x})[0]

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        if step is None:
            return np.asarray(call(x), np.float32)
        whole = np.concatenate(
            [x, np.repeat(x[-1:], -len(x) % step, 0)]
        )  # the model wants whole batches of its own size
        parts = [call(whole[i : i + step]) for i in range(0, len(whole), step)]
        return np.concatenate(parts)[: len(x)].astype(np.float32, copy=False)

    return run


def _torch(file: WeightFile, device: str, precision: Precision) -> Network:
    return find(FaceNetwork, f"{__name__}:load", file, device, precision).run


class FaceNetwork:
    """An iresnet with its weights on one device."""

    def __init__(self, network: IResNet, device: torch.device, precision: Precision = "fp32") -> None:
        self._network = laid_out(network.eval().requires_grad_(False), device, precision)
        self._device, self._precision = device, precision

    @itemwise
    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, 112, 112) -> (N, D)."""
        with computing(self._device, self._precision):
            given = as_images(to_device(x, self._device), self._precision)
            out: NDArray[np.float32] = self._network(given).float().cpu().numpy()
        return out


def load(file: WeightFile, device: str, precision: Precision = "fp32") -> FaceNetwork:
    """The network of a torch checkpoint.

    Raises:
        RefusedCheckpoint: not a checkpoint of an iresnet.
    """
    from lipsync_eval.features.iresnet import IResNet, arch_of

    tensors = load_tensors(file.path)
    network = IResNet(arch_of(tensors, file.path.name))
    fit(network, tensors, source=file.path.name)
    return FaceNetwork(network, pick(device), precision)

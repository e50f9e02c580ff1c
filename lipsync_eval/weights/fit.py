"""Putting tensors into a network, and opening ONNX files: strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsync_eval.errors import RefusedCheckpoint, WeightsError
from lipsync_eval.weights.onnx_check import check_onnx

if TYPE_CHECKING:
    import torch


def fit(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], *, source: str) -> None:
    """Copy tensors into a module by name. Names and shapes must agree; `num_batches_tracked` may be missing (it
    has no use in evaluation and torch before 0.4.1 did not write it).

    Args:
        module: the network; its parameters are overwritten.
        tensors: name -> tensor; numbers are cast to the network's dtype.
        source: what the tensors come from, for the message.

    Raises:
        RefusedCheckpoint: names the first differing or not finite key, what was expected and what was found.
    """
    state = module.state_dict()
    for key, wanted in state.items():
        if key not in tensors:
            if key.endswith("num_batches_tracked"):
                continue
            raise _differs(source, key, _say(wanted), "nothing")
        found = tensors[key]
        if tuple(found.shape) != tuple(wanted.shape) or found.is_floating_point() != wanted.is_floating_point():
            raise _differs(source, key, _say(wanted), _say(found))
        if found.is_floating_point() and not bool(found.isfinite().all()):
            raise _differs(source, key, "finite numbers", "nan or inf among them")
    for key, found in tensors.items():
        if key not in state:
            raise _differs(source, key, "nothing", _say(found))
    module.load_state_dict({**state, **tensors}, strict=True)


def onnx_device(name: str) -> int | None:
    """The number of the GPU on which ONNX runs under --device `name`; None: the CPU, also where onnxruntime has no CUDA.

    Raises:
        UsageError: not a device name, or CUDA asked for where there is none.
    """
    import onnxruntime

    from lipsync_eval.device import pick

    if name == "cpu" or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return None
    device = pick(name)
    return None if device.type == "cpu" else device.index or 0


def providers(gpu: int | None) -> list[tuple[str, dict[str, str]]]:
    """What an onnxruntime session is given: the GPU (TF32 off, as everywhere here) before the CPU."""
    cuda = {"device_id": str(gpu), "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    own = [] if gpu is None else [("CUDAExecutionProvider", cuda)]
    return [*own, ("CPUExecutionProvider", {})]


def onnx_session(path: Path, threads: int = 1, device: int | None = None) -> Any:
    """An onnxruntime session. The file is looked at first (`onnx_check`): it may not point to files beside it.

    Args:
        path: the file.
        threads: on the CPU.
        device: from `onnx_device`.

    Returns:
        onnxruntime.InferenceSession.

    Raises:
        RefusedCheckpoint: it is refused, or onnxruntime cannot read it.
        WeightsError: the file cannot be opened.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        check_onnx(data)
    except RefusedCheckpoint as error:
        raise RefusedCheckpoint(f"{path} is refused: {error}; fetch it again, or use the official file") from error
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers(device))
    except Exception as error:  # onnxruntime raises a class of its own for every kind of failure
        raise RefusedCheckpoint(
            f"{path} is refused: onnxruntime cannot read it ({error}); use the official file"
        ) from error


def _say(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _differs(source: str, key: str, expected: str, found: str) -> RefusedCheckpoint:
    return RefusedCheckpoint(
        f"{source} does not fit the network: at {key!r} expected {expected}, found {found}. Use the official file"
    )

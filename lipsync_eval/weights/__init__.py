"""Weights: which there are, where they are, and the only code that downloads or reads a checkpoint."""

from lipsync_eval.weights.checkpoint import load_checkpoint, load_tensors
from lipsync_eval.weights.fit import fit, onnx_device, onnx_session
from lipsync_eval.weights.globals import Stub
from lipsync_eval.weights.locate import WeightFile, check_overrides, locate, weights_cache_dir
from lipsync_eval.weights.registry import FileRow, WeightsRow, get_row, rows

__all__ = [
    "FileRow",
    "Stub",
    "WeightFile",
    "WeightsRow",
    "check_overrides",
    "fit",
    "get_row",
    "load_checkpoint",
    "load_tensors",
    "locate",
    "onnx_device",
    "onnx_session",
    "rows",
    "weights_cache_dir",
]

"""Decoded picture -> RGB, bit for bit what ffmpeg gives for `-pix_fmt rgb24`.

ffmpeg turns the picture by its display matrix and then lets libavfilter insert a scaler with its default flags.
The same chain is built here. PyAV's own `to_ndarray(format="rgb24")` is not the same: it differs by up to 137 levels on
10-bit pictures and by up to 252 on interlaced ones, because it upsamples chroma with other flags and by fields.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsync_eval.types import Frame

if TYPE_CHECKING:
    from av import VideoFrame

Matrix = tuple[int, ...]
"""Nine numbers in 16.16 fixed point (the last column 2.30), row by row, as ffmpeg's display matrix."""
_IDENTITY: Matrix = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


class Display:
    """How pictures that come one after the other are to be turned for display."""

    def __init__(self) -> None:
        self._angle: int | None = None
        self._matrix = _IDENTITY

    def matrix(self, frame: VideoFrame) -> Matrix:
        """The identity where the file says nothing."""
        # PyAV ties a frame whose side data is read to itself: it is freed only by the garbage collector, which can take
        # hundreds of frames. So it is read once, and again when the angle (read without that) changes.
        if frame.rotation != self._angle:
            data: Any = frame.side_data.get("DISPLAYMATRIX")
            self._matrix = _IDENTITY if data is None else tuple(int(v) for v in np.frombuffer(bytes(data), np.int32))
            self._angle = frame.rotation
        return self._matrix

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """(height, width) in px of the picture once it is turned."""
        transposed = any(name == "transpose" for name, _ in turns(self.matrix(frame)))
        return (frame.width, frame.height) if transposed else (frame.height, frame.width)


def turns(matrix: Matrix) -> list[tuple[str, str]]:
    """The filters (name, arguments) that ffmpeg inserts for a display matrix; none for the identity."""
    scale = [math.hypot(matrix[0], matrix[3]), math.hypot(matrix[1], matrix[4])]
    if 0.0 in scale:
        return []
    theta = round(math.degrees(math.atan2(matrix[1] / scale[1], matrix[0] / scale[0]))) % 360
    if abs(theta - 90) < 1:
        return [("transpose", "cclock_flip" if matrix[3] > 0 else "clock")]
    if abs(theta - 180) < 1:
        return [("hflip", "")] * (matrix[0] < 0) + [("vflip", "")] * (matrix[4] < 0)
    if abs(theta - 270) < 1:
        return [("transpose", "clock_flip" if matrix[3] < 0 else "cclock")]
    if theta > 1:
        return [("rotate", f"{theta}*PI/180")]
    return [("vflip", "")] if theta == 0 and matrix[4] < 0 else []


class Converter:
    """Turns decoded pictures into RGB arrays; keeps the filter chain while the pictures stay alike."""

    def __init__(self) -> None:
        self._display = Display()
        self._kind: tuple[object, ...] = ()
        self._graph: Any = None

    def __call__(self, frame: VideoFrame) -> Frame:
        """(H, W, 3) uint8 RGB, contiguous, owned by the caller."""
        matrix = self._display.matrix(frame)
        kind = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range), matrix)
        if kind != self._kind:
            self._graph, self._kind = _graph(frame, turns(matrix)), kind
        self._graph.push(frame)
        # A view would point into a buffer that the decoder uses again.
        return np.array(self._graph.pull().to_ndarray(), dtype=np.uint8, order="C", copy=True)


def _graph(frame: VideoFrame, chain: list[tuple[str, str]]) -> Any:
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    source = (
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1"
        f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    )
    nodes = [graph.add("buffer", source)]
    nodes += [graph.add(name, arguments) if arguments else graph.add(name) for name, arguments in chain]
    nodes += [graph.add("format", "pix_fmts=rgb24"), graph.add("buffersink")]
    for left, right in itertools.pairwise(nodes):
        left.link_to(right)
    graph.configure()
    return graph

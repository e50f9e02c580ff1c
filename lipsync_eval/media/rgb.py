"""Decoded frame -> RGB, bit for bit what ffmpeg gives for `-pix_fmt rgb24`.

ffmpeg cuts the frame to what the container says to show, turns it by its display matrix and then lets libavfilter insert a
scaler with its default flags. The same chain is built here. PyAV's own `to_ndarray(format="rgb24")` is not the same: it differs
by up to 137 levels on 10-bit frames and by up to 252 on interlaced ones, because it upsamples chroma with other flags and by
fields.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.media.header import NO_MARGINS, Margins
from lipsync_eval.types import Frame

if TYPE_CHECKING:
    from av import VideoFrame

Matrix = tuple[int, ...]
"""Nine numbers in 16.16 fixed point (the last column 2.30), row by row, as ffmpeg's display matrix."""
_IDENTITY: Matrix = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)

_KNOWN: Final = range(28)
"""Kinds of side data that PyAV 18 has names for; reading a frame that has another (EXIF: 31) is an error there."""
_KINDS: Final = 64
"""More kinds than ffmpeg has."""

_MATRICES: Final = {
    8: "YCgCo", 10: "BT.2020 constant luminance", 11: "SMPTE 2085", 12: "chroma-derived", 13: "chroma-derived constant luminance",
    14: "ICtCp", 15: "IPT-C2", 16: "YCgCo-Re", 17: "YCgCo-Ro",
}  # fmt: skip
"""Colour matrices (H.273) that the scaler of ffmpeg 7 and 8 refuses."""
_STAND_INS: Final = {10: 9}
"""What is used in place of a refused matrix, as ffmpeg 5 does: BT.2020 non-constant luminance; for the others the default."""
_DEFAULT: Final = 2
"""No matrix stated: the scaler takes BT.601."""


class Display:
    """How frames that come one after the other are to be cut and turned for display."""

    def __init__(self, margins: Margins = NO_MARGINS) -> None:
        self._margins = margins
        self._kind: tuple[int, int, int] | None = None
        self._chain: list[tuple[str, str]] = []
        self._size = (0, 0)

    def chain(self, frame: VideoFrame) -> list[tuple[str, str]]:
        """The filters (name, arguments) that cut and turn the frame; none where it is shown as it is coded."""
        self._meet(frame)
        return self._chain

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """(height, width) in px of the frame once it is cut and turned."""
        self._meet(frame)
        return self._size

    def _meet(self, frame: VideoFrame) -> None:
        # Side data is read once, and again when the angle (which is read without it) or the size changes.
        kind = (frame.width, frame.height, frame.rotation)
        if kind == self._kind:
            return
        x, y, width, height = self._margins.box(frame.width, frame.height)
        cut = [("crop", f"{width}:{height}:{x}:{y}:exact=1")] if (width, height) != (frame.width, frame.height) else []
        turned = turns(_matrix(frame))
        transposed = any(name == "transpose" for name, _ in turned)
        self._kind, self._chain = kind, cut + turned
        self._size = (width, height) if transposed else (height, width)


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


def matrix_note(frame: VideoFrame) -> str:
    """What is said of a colour matrix that the scaler does not know; empty for all others."""
    matrix = int(frame.colorspace)
    if matrix not in _MATRICES or frame.format.is_rgb:
        return ""
    instead = "that of BT.2020 non-constant luminance" if _STAND_INS.get(matrix) else "the default (BT.601)"
    return (
        f"colour matrix {matrix} ({_MATRICES[matrix]}) is not known to the converter: {instead} used, as ffmpeg 5 does"
    )


class Converter:
    """Turns decoded frames into RGB arrays; keeps the filter chain while the frames stay alike."""

    def __init__(self, display: Display | None = None) -> None:
        self._display = display or Display()
        self._kind: tuple[object, ...] = ()
        self._graph: Any = None

    def __call__(self, frame: VideoFrame) -> Frame:
        """(H, W, 3) uint8 RGB, contiguous, owned by the caller.

        Raises:
            MediaError: ffmpeg's libraries cannot convert such a frame.
        """
        import av

        chain = self._display.chain(frame)
        if int(frame.colorspace) in _MATRICES and matrix_note(frame):
            frame.colorspace = _STAND_INS.get(int(frame.colorspace), _DEFAULT)
        kind = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range), *chain)
        try:
            if kind != self._kind:
                self._graph, self._kind = _graph(frame, chain), kind
            self._graph.push(frame)
            rgb: Frame = self._graph.pull().to_ndarray()
            # The array holds the scaler's own buffer. What is RGB already was not scaled: it is the decoder's, which reads it.
            return rgb.copy() if frame.format.name == "rgb24" else np.ascontiguousarray(rgb)
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"frames of {frame.width}x{frame.height} px in {frame.format.name}, colour matrix {int(frame.colorspace)}, cannot be "
                f"converted to RGB ({error}); convert the video, e.g. ffmpeg -i FILE -pix_fmt yuv420p OUT.mp4"
            ) from error


def _graph(frame: VideoFrame, chain: list[tuple[str, str]]) -> Any:
    return _built(frame, [*chain, ("format", "pix_fmts=rgb24")])


def _built(frame: VideoFrame, chain: list[tuple[str, str]]) -> Any:
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    source = (
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1"
        f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    )
    nodes = [graph.add("buffer", source)]
    nodes += [graph.add(name, arguments) if arguments else graph.add(name) for name, arguments in chain]
    nodes.append(graph.add("buffersink"))
    for left, right in itertools.pairwise(nodes):
        left.link_to(right)
    graph.configure()
    return graph


def _matrix(frame: VideoFrame) -> Matrix:
    """The frame's display matrix.

    PyAV ties a frame whose side data is read to itself: only the garbage collector frees it, and with it the memory of all
    frames that were decoded together. A frame that is kept would survive that. So a second frame of the same pixels is read.
    """
    try:
        data: Any = _passed(frame, []).side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data that PyAV has no name for
        unknown = [("sidedata", f"mode=delete:type={kind}") for kind in range(_KNOWN.stop, _KINDS)]
        data = _passed(frame, unknown).side_data.get("DISPLAYMATRIX")
    return _IDENTITY if data is None else tuple(int(v) for v in np.frombuffer(bytes(data), np.int32))


def _passed(frame: VideoFrame, chain: list[tuple[str, str]]) -> Any:
    """What comes out of a chain of filters; without any, another frame of the same pixels and side data."""
    graph = _built(frame, chain)
    graph.push(frame)
    return graph.pull()

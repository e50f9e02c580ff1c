"""The lossy steps of the official scripts, as nearly as PyAV's encoders give them (`--compat jpeg`).

run_pipeline.py writes the video as MPEG-4 at quality 2, every frame as JPEG at quality 2, and the crops as MPEG-4
(XVID); SyncNetInstance.py turns what it gets into JPEG once more, at ffmpeg's default rate control, which is visibly
lossy. Encoders keep a state, so frames must come in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.types import FPS, Frame

_LAMBDA: Final = 118
"""ffmpeg's FF_QP2LAMBDA: -qscale q means global_quality = 118 q."""


class Lossy:
    """One encoder and its decoder: frame in, frame out."""

    def __init__(
        self, codec: str, options: Mapping[str, str], *, pixels: str = "yuv420p", bit_rate: int | None = None
    ) -> None:
        """Prepare.

        Args:
            codec: 'mjpeg' or 'mpeg4'.
            options: options of the encoder.
            pixels: pixel format that it takes.
            bit_rate: bits per second; None: libavcodec's default of 200000.
        """
        self._codec, self._options, self._pixels, self._bit_rate = codec, dict(options), pixels, bit_rate
        self._encoder: Any = None
        self._decoder: Any = None
        self._count = 0

    def through(self, frame: Frame) -> Frame:
        """(H, W, 3) uint8 RGB -> what is left of it.

        Raises:
            MediaError: the codec gave no frame back.
        """
        import av

        whole = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        if self._encoder is None:
            self._open(whole.width, whole.height)
        full = 2 if self._pixels.startswith("yuvj") else 1
        # AREA: the mean over 2x2 pixels gives back the chroma of a decoded video, which four pixels share
        shown = whole.reformat(format=self._pixels, dst_color_range=full, interpolation="AREA")
        shown.pts, shown.time_base = self._count, Fraction(1, FPS)
        self._count += 1
        for packet in self._encoder.encode(shown):
            if self._codec == "mjpeg":
                return _read_jpeg(bytes(packet))
            for back in self._decoder.decode(packet):
                return np.ascontiguousarray(back.to_ndarray(format="rgb24")).copy()
        raise MediaError(f"the {self._codec} encoder gave no frame back; leave --compat out")

    def _open(self, width: int, height: int) -> None:
        import av

        encoder: Any = av.CodecContext.create(self._codec, "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, self._pixels
        encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
        encoder.thread_count = 1
        if self._bit_rate is not None:
            encoder.bit_rate = self._bit_rate
        encoder.options = self._options
        decoder: Any = av.CodecContext.create(self._codec, "r")
        decoder.thread_count = 1
        decoder.flags = 1 << 19  # low delay: every packet gives its frame at once
        self._encoder, self._decoder = encoder, decoder


def _read_jpeg(file: bytes) -> Frame:
    """A JPEG as upstream reads it, by OpenCV: its chroma is upsampled otherwise than by ffmpeg."""
    import cv2

    read = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(read, np.uint8)[:, :, ::-1])


class Chain:
    """Several of them in a row."""

    def __init__(self, *steps: Lossy) -> None:
        self._steps = steps

    def through(self, frame: Frame) -> Frame:
        """(H, W, 3) uint8 RGB -> what is left of it after all steps."""
        for step in self._steps:
            frame = step.through(frame)
        return frame


def source_chain() -> Chain:
    """What run_pipeline.py does to the whole video before it looks for faces."""
    return Chain(Lossy("mpeg4", _quality(2)), Lossy("mjpeg", _quality(2), pixels="yuvj420p"))


def crop_chain(*, written: bool) -> Chain:
    """What happens to the crops, or to the whole frames of a file that is scored as it is (before they are resized).

    Args:
        written: run_pipeline.py wrote them as XVID first.
    """
    jpeg = Lossy("mjpeg", {}, pixels="yuvj420p")
    side = 224
    return Chain(Lossy("mpeg4", {}, bit_rate=4 * FPS * side * side), jpeg) if written else Chain(jpeg)


def _quality(q: int) -> dict[str, str]:
    return {"flags": "+qscale", "global_quality": str(_LAMBDA * q)}

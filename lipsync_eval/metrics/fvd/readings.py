"""What each public FVD code does with a video before and after its network: facts, and the options that change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lipsync_eval.errors import UsageError
from lipsync_eval.options import Option

_HEADING: Final = "FVD"
FRAMES: Final = Option(
    name="fvd_frames", heading=_HEADING, kind="int", moves=True, key="",
    help="Frames in a window; not given: 16.",
)  # fmt: skip
START: Final = Option(
    name="fvd_start", heading=_HEADING, kind="int", moves=True, key="",
    help="First frame of the first window; not given: 0, for fvd_latentsync 20.",
)  # fmt: skip
WINDOWS: Final = Option(
    name="fvd_windows", heading=_HEADING, kind="choice", choices=("first", "all"), moves=True, key="",
    help="Windows of a clip; not given: first, for fvd_r3d18 all.",
)  # fmt: skip
STRIDE: Final = Option(
    name="fvd_stride", heading=_HEADING, kind="int", moves=True, key="",
    help="Frames from one window to the next; not given: fvd_frames, without overlap.",
)  # fmt: skip
REGION: Final = Option(
    name="fvd_region", heading=_HEADING, kind="choice", choices=("crop", "box", "frame"), moves=True, key="",
    help="Which part of the frame; not given: crop, for fvd_latentsync box.",
)  # fmt: skip
RESIZE: Final = Option(
    name="fvd_resize", heading=_HEADING, kind="choice", choices=("crop", "stretch", "area", "pillow"), moves=True, key="",
    help="How frames come to 224 px; not given: the reading's way.",
)  # fmt: skip
SCALE: Final = Option(
    name="fvd_scale", heading=_HEADING, kind="choice", choices=("pm1", "unit", "imagenet"), moves=True, key="",
    help="Scale of the network's input; not given: the reading's.",
)  # fmt: skip
EXTRAPOLATE: Final = Option(
    name="fvd_extrapolate", heading=_HEADING, kind="flag", default="0", moves=True, key="",
    help="Extrapolate to infinitely many windows (Chong, Forsyth 2020); needs 32 a side.",
)  # fmt: skip
OPTIONS: Final = (FRAMES, START, WINDOWS, STRIDE, REGION, RESIZE, SCALE, EXTRAPOLATE)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a video becomes a feature vector."""

    row: str
    """Registry row of the network."""
    frames: int
    start: int
    windows: str
    stride: int
    """0: as `frames`."""
    region: str
    resize: str
    scale: str

    @property
    def step(self) -> int:
        """Frames from one window to the next."""
        return self.stride or self.frames

    def keys(self) -> dict[str, str]:
        """What stands in a signature beside the weights."""
        windows = "first" if self.windows == "first" else f"all+{self.step}"
        return {
            "frames": str(self.frames),
            "start": str(self.start),
            "windows": windows,
            "region": self.region,
            "resize": self.resize,
            "scale": self.scale,
        }


READINGS: Final[Mapping[str, Reading]] = {
    "fvd_styleganv": Reading("i3d-torchscript", 16, 0, "first", 0, "crop", "crop", "pm1"),
    "fvd_videogpt": Reading("i3d-kinetics400", 16, 0, "first", 0, "crop", "crop", "pm1"),
    "fvd_latentsync": Reading("i3d-torchscript", 16, 20, "first", 0, "box", "area", "unit"),
    "fvd_r3d18": Reading("r3d18", 16, 0, "all", 0, "crop", "pillow", "imagenet"),
}


def reading_of(metric: str, option: Callable[[str], str], least: int) -> Reading:
    """A metric's reading with what the user chose.

    Args:
        metric: id.
        option: name -> value, '' where nothing is given.
        least: frames that the network needs.

    Raises:
        UsageError: a number that makes no window.
    """
    base, stride = READINGS[metric], option(STRIDE.name)
    reading = Reading(
        row=base.row,
        frames=int(option(FRAMES.name) or base.frames),
        start=int(option(START.name) or base.start),
        windows=option(WINDOWS.name) or base.windows,
        stride=int(stride or base.stride),
        region=option(REGION.name) or base.region,
        resize=option(RESIZE.name) or base.resize,
        scale=option(SCALE.name) or base.scale,
    )
    if reading.frames < least or reading.start < 0 or (stride and reading.stride < 1):
        raise UsageError(
            f"{metric}: fvd_frames={reading.frames}, fvd_start={reading.start}, fvd_stride={reading.step}: "
            f"give at least {least} frames, a start of 0 or more and a stride of 1 or more"
        )
    return reading

"""A crop declared as data: in which frame of reference, around what, how large.

Built-in protocols and TOML files both become this.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal, cast, get_args

from lipsync_eval.options import Option, checked

Base = Literal["ffhq", "eyes", "upright", "box", "frame"]
"""ffhq: the square that FFHQ aligns a face to (unit: its side). eyes: turned until the eyes are level (unit: distance
of the eye centres). upright: the frame's own axes (unit: px). box: the box around the 68 points. frame: the whole
frame."""
CropFrom = Literal["auto", "gt", "own"]
Radius = Literal["per-frame", "clip-median"]
Shape = Literal["square", "stretch"]

BASES: Final[tuple[str, ...]] = get_args(Base)
CROP_FROM: Final[tuple[str, ...]] = get_args(CropFrom)
RADIUS_MODES: Final[tuple[str, ...]] = get_args(Radius)
SHAPES: Final[tuple[str, ...]] = get_args(Shape)

LENGTH: Final = re.compile(r"([xy])([0-9]{1,2}|max|min) *- *([xy])([0-9]{1,2}|max|min)")
"""'ymax - y29': a length along x or y between two of the 68 points (0-based), or the largest or smallest of all."""
UNIT: Final = "unit"
"""The length 1 of the base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the crop lies, in words. Fields that a base does not read keep their neutral value."""

    base: Base
    centre: tuple[int, ...] = ()
    """ffhq, eyes, upright: the mean of these points (0-based, iBUG 68)."""
    radius: tuple[str, ...] = ()
    """ffhq, eyes, upright: half the side is the largest of these lengths (`LENGTH` or `UNIT`)."""
    margins: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """box: left, top, right, bottom, added as shares of the box's width and height."""
    pads: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """box: left, top, right, bottom, added in source px after the margins."""
    smooth: int = 1
    """box: each box is the mean of this many frames from its own on."""
    shape: Shape = "square"
    """box: square: half the side is half the longer side of the box; stretch: the box itself, resized to a square."""
    scale: float = 1.0
    """Factor on the half side."""
    offset: tuple[float, float] = (0.0, 0.0)
    """Moves the centre right and down, in half sides."""
    crop_from: CropFrom = "auto"
    """gt: the real video's geometry for both; own: each its own; auto: gt where the frame sizes match, else own."""
    radius_mode: Radius = "per-frame"
    """clip-median: one half side for the whole clip, the median over its frames."""


CROP_FROM_OPTION: Final = Option(
    name="crop_from",
    heading="Protocol",
    help="Whose landmarks crop; auto: gt if frame sizes match, else own.",
    kind="choice",
    choices=CROP_FROM,
    default="auto",
    moves=True,
    key="",
    flag=True,
)
RADIUS_OPTION: Final = Option(
    name="radius",
    heading="Protocol",
    help="Crop radius of each frame, or one for the clip.",
    kind="choice",
    choices=RADIUS_MODES,
    default="per-frame",
    moves=True,
    key="",
    flag=True,
)


def options_of(layout: Layout) -> tuple[Option, ...]:
    """What a user may choose about this layout: its own values are the defaults."""
    if layout.base == "frame":
        return ()
    crop_from = replace(CROP_FROM_OPTION, default=layout.crop_from)
    return (
        (crop_from,) if layout.shape == "stretch" else (crop_from, replace(RADIUS_OPTION, default=layout.radius_mode))
    )


def bind(layout: Layout, options: Mapping[str, str], name: str) -> tuple[Layout, str]:
    """Apply the options `crop_from` and `radius`.

    Returns:
        the layout, and the suffix of the signature: ',radius=clip-median', empty for a radius of each frame. Whose landmarks
        crop is decided clip by clip and signed by the engine (`crop_from`), from Crop.crop_from.

    Raises:
        UsageError: an option or value that there is not, or any option for a crop that is the whole frame.
    """
    given = checked(options_of(layout), options, f"protocol {name!r}")
    bound = replace(
        layout,
        crop_from=cast(CropFrom, given.get("crop_from", layout.crop_from)),
        radius_mode=cast(Radius, given.get("radius", layout.radius_mode)),
    )
    return bound, "" if bound.radius_mode == "per-frame" else f",radius={bound.radius_mode}"


def digest(layout: Layout, size: int | None) -> str:
    """8 hex digits over all that moves a crop: a file's comments, order and spelling are no part of it.

    `crop_from` and `radius_mode` are left out: they stand in signatures by themselves.
    """
    meaning = asdict(layout) | {"size": size, "radius": sorted(set(layout.radius))}
    for name in ("crop_from", "radius_mode"):
        del meaning[name]
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:8]

"""The protocol object that a layout becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from lipsync_eval.errors import ProtocolError
from lipsync_eval.protocol import ProtocolSpec, View
from lipsync_eval.protocols import geometry
from lipsync_eval.protocols.layout import Layout, bind, options_of
from lipsync_eval.types import Crop, Float
from lipsync_eval.warp import overflow


class LayoutProtocol:
    """A crop protocol made from a spec and a layout, with its options bound."""

    def __init__(self, spec: ProtocolSpec, layout: Layout, options: Mapping[str, str], content: str = "") -> None:
        """Bind options; `content` is the hash of what a user's TOML file says (8 hex digits).

        Raises:
            UsageError: an unknown option or value.
        """
        self._spec = replace(spec, options=options_of(layout))
        self._layout, suffix = bind(layout, options, spec.name)
        self._signature = f"{spec.name}.{spec.version}" + (f"@{content}" if content else "") + suffix

    @property
    def spec(self) -> ProtocolSpec:
        """What it declares."""
        return self._spec

    def signature(self) -> str:
        """name.version, '@' and the hash of what a TOML file says, then the radius where it is not each frame's own."""
        return self._signature

    def crops(self, gen: View, gt: View) -> tuple[Crop, Crop]:
        """Crops of both videos over the common length.

        Raises:
            ProtocolError: no frame can be cropped, or a whole-frame crop of frames that differ in size.
        """
        n = min(gen.n_frames, gt.n_frames)
        if self._layout.base == "frame":
            return _whole(gen, gt, n, self._spec)
        shared, note = self._shared(gen, gt)
        real = self._matrices(gt, n, "real")
        ours = real if shared else self._matrices(gen, n, "generated")
        notes = (note,) if note else ()
        crops = self._crop(ours, gen, "generated", notes), self._crop(real, gt, "real", notes)
        whose: Literal["gt", "own"] = "gt" if shared else "own"
        return replace(crops[0], crop_from=whose), replace(crops[1], crop_from=whose)

    def _shared(self, gen: View, gt: View) -> tuple[bool, str]:
        """Whether the real video's crop serves both, and what to say about it."""
        wanted = self._layout.crop_from
        same = (gen.height, gen.width) == (gt.height, gt.width)
        if wanted == "gt" and not same:
            raise ProtocolError(
                f"protocol {self._spec.name}, crop_from=gt: the frames differ in size "
                f"({_sizes(gen, gt)}), so the real video's crop does not fit; use crop_from=own or auto"
            )
        if wanted == "auto" and not same:
            return False, f"crop_from=own: frames differ in size ({_sizes(gen, gt)})"
        return wanted != "own", ""

    def _matrices(self, view: View, n: int, which: str) -> Float:
        if view.track is None:
            raise ProtocolError(
                f"protocol {self._spec.name} needs a face track of the {view.which or which} video, and no face was followed "
                "there; look at the video, or compare whole frames with --protocol raw"
            )
        points = np.full((n, 68, 2), np.nan)
        known = view.track.points[:n]
        points[: len(known)] = known
        return geometry.matrices(geometry.boxes(self._layout, points), self._spec.size or 256)

    def _crop(self, matrix: Float, view: View, which: str, notes: tuple[str, ...]) -> Crop:
        side = self._spec.size or 256
        valid = np.asarray(np.isfinite(matrix).all(axis=(1, 2)))
        if not valid.any():
            raise ProtocolError(
                f"protocol {self._spec.name}: no frame of the {view.which or which} video can be cropped: none of its {len(matrix)} "
                "frames has a face with 68 points around which the crop has an area"
            )
        outside = overflow(matrix, (side, side), (view.height, view.width))
        over = outside[valid] > 1e-9
        if over.any():
            most = 100 * float(outside[valid].max())
            notes += (
                f"crop overflows the frame in {int(over.sum())} of {int(valid.sum())} frames, "
                f"at most {most:.1f} % of its area (mirrored there)",
            )
        return Crop(matrix, (side, side), valid, outside, notes)


def _whole(gen: View, gt: View, n: int, spec: ProtocolSpec) -> tuple[Crop, Crop]:
    """The whole frame of both: at its own size, or resized to the protocol's."""
    if (gen.height, gen.width) != (gt.height, gt.width):
        raise ProtocolError(
            f"protocol {spec.name} compares whole frames, which must have one size; here {_sizes(gen, gt)}: "
            "resize one, or use a protocol that crops the face"
        )
    height, width = (gt.height, gt.width) if spec.size is None else (spec.size, spec.size)
    fx, fy = width / gt.width, height / gt.height
    one = np.array([[fx, 0.0, (fx - 1) / 2], [0.0, fy, (fy - 1) / 2]])
    crop = Crop(np.tile(one, (n, 1, 1)), (height, width), np.ones(n, bool), np.zeros(n))
    return crop, crop


def _sizes(gen: View, gt: View) -> str:
    return f"generated {gen.width}x{gen.height}, real {gt.width}x{gt.height}"

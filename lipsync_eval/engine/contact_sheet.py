"""One image of the crops of many clips: names at the left, rows marked generated and real."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lipsync_eval.files import atomic
from lipsync_eval.types import Frame

TILE = 128
_LABEL = 200
_GAP = 6
_TALLEST = 30_000
"""px; a sheet of more clips stops here and says so in its last line."""


def contact_sheet(rows: Iterable[tuple[str, list[Frame], list[Frame]]], path: Path) -> int:
    """Write a PNG, whole or not at all.

    Args:
        rows: (name, generated crops, real crops) of each clip; crops of any size, uint8 RGB. Names may hold any text.
        path: of the PNG.

    Returns:
        the number of clips on it.

    Raises:
        OSError: it cannot be written.
    """
    from PIL import Image

    strips = []
    height = 0
    for name, gen, gt in rows:
        if height > _TALLEST:
            strips.append(_strip("... more clips are left out", [], []))
            break
        strips.append(_strip(name, gen, gt))
        height += strips[-1].shape[0]
    width = max((s.shape[1] for s in strips), default=_LABEL)
    sheet = np.full((sum(s.shape[0] for s in strips) or TILE, width, 3), 255, np.uint8)
    top = 0
    for strip in strips:
        sheet[top : top + strip.shape[0], : strip.shape[1]] = strip
        top += strip.shape[0]
    with atomic(path) as file:
        Image.fromarray(sheet).save(file, format="PNG")
    return len(strips)


def _strip(name: str, gen: list[Frame], gt: list[Frame]) -> Frame:
    sides = [(word, _tiles(side)) for word, side in (("generated", gen), ("real", gt)) if side]
    rows = [row for _, row in sides] or [np.full((TILE // 2, TILE, 3), 255, np.uint8)]
    width = max(r.shape[1] for r in rows)
    body = np.full((sum(r.shape[0] for r in rows) + _GAP, width, 3), 255, np.uint8)
    top = 0
    for row in rows:
        body[top : top + row.shape[0], : row.shape[1]] = row
        top += row.shape[0]
    marks = [(word, k * TILE + TILE // 2) for k, (word, _) in enumerate(sides)]
    return np.concatenate([_label(name, marks, body.shape[0]), body], axis=1)


def _tiles(crops: list[Frame]) -> Frame:
    from PIL import Image

    tiles = []
    for crop in crops:
        scale = TILE / max(crop.shape[:2])
        size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
        small = np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.LANCZOS))
        tile = np.full((TILE, TILE + 2, 3), 255, np.uint8)
        tile[: size[1], : size[0]] = small
        tiles.append(tile)
    return np.concatenate(tiles, axis=1)


def _label(name: str, marks: list[tuple[str, int]], height: int) -> Frame:
    """The name, wrapped, and which side is in which row, at its middle (px); what the built-in font cannot draw is shown as escapes."""
    from PIL import Image, ImageDraw, ImageFont

    text = name.encode("ascii", "backslashreplace").decode() if not name.isascii() else name
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    lines = [text[i : i + 30] for i in range(0, min(len(text), 240), 30)]
    image = Image.new("RGB", (_LABEL, height), "white")
    drawing, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    drawing.multiline_text((4, 4), "\n".join(lines[:4] if marks else lines), fill="black", font=font)
    for word, middle in marks:
        drawing.text((_LABEL - 8, middle), word, fill="black", font=font, anchor="rm")
    return np.asarray(image).copy()

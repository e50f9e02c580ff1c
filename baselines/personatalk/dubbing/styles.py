"""`personatalk style`: style codes S of real and generated videos on a plane (figure 5 of the paper)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.personatalk.config import GeometryConfig
from lipsync_eval.baselines.personatalk.dubbing.fitting import fit_clip
from lipsync_eval.baselines.personatalk.geometry.face import FaceGeometry, load_geometry
from lipsync_eval.baselines.personatalk.geometry.provider import Provider, geometry_beside, open_provider
from lipsync_eval.baselines.personatalk.geometry.topology import Topology
from lipsync_eval.baselines.personatalk.training.loading import load_geometry_network, style_code
from lipsync_eval.errors import ClipError, MissingWeights, UsageError
from lipsync_eval.features.style.corpus import Recording, Sequence52or68, find_recordings
from lipsync_eval.files import write_text
from lipsync_eval.types import Float


def geometry_of(recording: Recording, topology: Topology, fitting: Callable[[], Provider]) -> FaceGeometry:
    """The file beside a clip, or a new fit by the provider that `fitting` opens.

    Raises:
        ClipError: no face.
        ParseError: a file of another topology.
    """
    path = geometry_beside(recording.path)
    if path.exists():
        return load_geometry(path, topology)
    return fit_clip(fitting(), recording.path)


def read(recordings: Sequence[Recording], files: GeometryConfig, provider: Provider, say: Say) -> list[Sequence52or68]:
    """(T, 3 L) expressions on the mean face, of the frames that show the face."""
    found = []
    fitting = cache(lambda: open_provider(files))  # reads models, so for the first clip without a file only
    for recording in recordings:
        try:
            face = geometry_of(recording, provider.topology, fitting)
        except MissingWeights as error:
            raise MissingWeights(
                f"{error}\nOr put the files of `lipsync-eval personatalk fit` beside the clips"
            ) from error
        except ClipError as error:
            say(f"warning: {recording.name} is left out: {error}")
            continue
        index = np.flatnonzero(face.valid)
        flat = face.expression(provider.topology.mean)[index].reshape(len(index), -1)
        found.append(Sequence52or68(recording, flat, index))
    if not found:
        raise UsageError("no clip shows a face; the reasons are above")
    return found


def draw(
    clips: Path,
    generated: Path | None,
    checkpoint: Path,
    out: Path,
    codes: Path | None,
    speakers: Path | None,
    window: int | None,
    perplexity: float,
    files: GeometryConfig,
    device: str,
    say: Say,
) -> str:
    """Draw the map; a line of numbers: cosines of codes, centred on their mean.

    Raises:
        UsageError: fewer than three codes, or generated videos of nobody.
        RefusedCheckpoint: no checkpoint of train-geometry.
    """
    from lipsync_eval.engine.style.map import map_styles
    from lipsync_eval.engine.style.plot import draw_styles

    network, held, topology, _ = load_geometry_network(checkpoint, device)
    asked = files.model_copy(update={"provider": held.config.geometry.provider, "smooth": held.config.geometry.smooth})
    provider = open_provider(asked, topology_only=True)
    if not network.config.style:
        raise UsageError(f"{held.folder} was trained without style (stage1.style=false): it has no style codes")

    def coder(s: Sequence52or68) -> Float:
        """(n, D) codes of a clip's windows, each half over the one before."""
        count = len(s.index)
        length = min(window or count, count)
        starts = range(0, count - length + 1, max(1, length // 2))
        parts = [s.raw[start : start + length].reshape(length, topology.count, 3) for start in starts]
        return np.stack([style_code(network, part)[0].double().cpu().numpy() for part in parts])

    recordings = find_recordings(clips, speakers)
    real = read(recordings, asked, provider, say)
    made = read(_dubbed(generated, recordings), asked, provider, say) if generated else []
    found_codes = [coder(s) for s in (*real, *made)]
    whole = [c.mean(0) for c in found_codes]
    if sum(map(len, found_codes)) < 3:
        raise UsageError("a map needs at least three codes; give more clips, or a smaller --window")
    found = map_styles(coder, real, made, perplexity)
    draw_styles(found, "PersonaTalk's S", out)
    if codes is not None:
        rows = [
            {"clip": s.recording.name, "speaker": s.recording.speaker, "generated": k >= len(real), "code": c.tolist()}
            for k, (s, c) in enumerate(zip((*real, *made), whole, strict=True))
        ]
        write_text(codes, json.dumps(rows, indent=1) + "\n")
    text = f"{out}: {len(found.owners)} codes of {found.n_speakers} speakers, {len(real) + len(made)} clips"
    return text + _agreement(whole, real, made)


def _dubbed(folder: Path, recordings: Sequence[Recording]) -> list[Recording]:
    """Generated videos; one that is named as a real clip has its speaker, others that of their folder."""
    known = {r.name: r.speaker for r in recordings}
    return [replace(r, speaker=known.get(r.name, r.speaker)) for r in find_recordings(folder)]


def _agreement(codes: Sequence[Float], real: Sequence[Sequence52or68], made: Sequence[Sequence52or68]) -> str:
    """Cosines between generated and real clips: the same speaker's, and other speakers'."""
    stacked = np.stack(codes)
    centred = stacked - stacked.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    cosines = unit[len(real) :] @ unit[: len(real)].T
    same = np.array([[m.recording.speaker == r.recording.speaker for r in real] for m in made], bool)
    if not made or not same.any() or same.all():
        return ""
    return f"\ngenerated against real: same speaker {cosines[same].mean():.3f}, others {cosines[~same].mean():.3f}"

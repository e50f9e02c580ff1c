"""PersonaTalk ready for use: both stages over one video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipsync_eval.baselines.kit.data.windows import to_frames, to_tensor
from lipsync_eval.baselines.kit.dubbing.generator import Material, Session
from lipsync_eval.baselines.kit.training.checkpoints import Checkpoint
from lipsync_eval.baselines.personatalk.config import GeometryConfig, PersonaTalkConfig
from lipsync_eval.baselines.personatalk.data.alignment import BOX, Box
from lipsync_eval.baselines.personatalk.data.references import by_opening, centred
from lipsync_eval.baselines.personatalk.geometry.face import FaceGeometry
from lipsync_eval.baselines.personatalk.geometry.pncc import lip_mask, pncc
from lipsync_eval.baselines.personatalk.geometry.provider import Provider, open_provider
from lipsync_eval.baselines.personatalk.network.stage1 import GeometryNetwork
from lipsync_eval.baselines.personatalk.network.stage2 import Known, Renderer
from lipsync_eval.baselines.personatalk.training.loading import (
    displacements,
    load_geometry_network,
    load_renderer,
    style_code,
)
from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.types import FPS, Float, Frame

MOST = 8
"""Frames at once on a GPU, unless asked otherwise; 2 on a CPU."""


def at_times(moved: Float, seconds: Float) -> Float:
    """(T, ...) at 25 fps -> at the times (s) at which frames appear, linearly; the last row is held."""
    at = np.clip(seconds * FPS, 0, len(moved) - 1)
    low = np.minimum(np.floor(at).astype(np.intp), max(len(moved) - 2, 0))
    high = np.minimum(low + 1, len(moved) - 1)
    share = (at - low).reshape(-1, *([1] * (moved.ndim - 1)))
    out: Float = (1 - share) * moved[low] + share * moved[high]
    return out


@dataclass
class PersonaTalkGenerator:
    """Both stages (kit.dubbing.generator.Generator)."""

    geometry: GeometryNetwork
    renderer: Renderer
    provider: Provider
    held: tuple[Checkpoint[PersonaTalkConfig], Checkpoint[PersonaTalkConfig]]
    device: torch.device
    style: FaceGeometry | None = None
    """Whose manner of speaking is taken; None: that of the dubbed video."""
    lip_references: int | None = None
    """None: as the configuration says."""
    alignment: Box = BOX

    @property
    def name(self) -> str:
        """Method, configurations, size."""
        return f"PersonaTalk ({self.held[0].config.name}, {self.held[1].config.name}, {self.size} px)"

    @property
    def made_by(self) -> dict[str, Any]:
        """Step and hashes of both checkpoints."""
        names = ("geometry", "renderer")
        return {n: {"step": h.step, "sha256": dict(h.hashes)} for n, h in zip(names, self.held, strict=True)}

    @property
    def size(self) -> int:
        """px of its crops."""
        return self.renderer.config.size

    @property
    def batch(self) -> int:
        """Frames at once that suit the device."""
        return 2 if self.device.type == "cpu" else MOST

    def begin(self, material: Material) -> Session:
        """First pass: geometry, style, stage 1; then the lip references. Frames are made in the order of the video."""
        face = self.provider.fit(material.video.clip, material.track)
        target = self.drive(face, material.speech, material.video.seconds)
        return _Rendering(self, material, face, target)

    def drive(self, face: FaceGeometry, speech: NDArray[np.float32], seconds: Float) -> FaceGeometry:
        """Stage 1: the face with the lower part that the speech asks for; upper part and pose stay.

        Args:
            face: of the input video.
            speech: (M,) 16 kHz.
            seconds: (N,) times of its frames.
        """
        mean, low, manner = self.provider.topology.mean, self.provider.topology.low, self.style or face
        style = style_code(self.geometry, manner.expression(mean), manner.valid)
        moved = displacements(self.geometry, speech, style, face.template)
        return face.with_lower(low, at_times(moved, seconds))


@dataclass
class _Rendering:
    """A session: keys of the lip references once, those of neighbouring frames as they come."""

    made: PersonaTalkGenerator
    material: Material
    face: FaceGeometry
    target: FaceGeometry
    faces: NDArray[np.intp] = field(init=False)
    """Numbers of the frames that show the face."""

    def __post_init__(self) -> None:
        self.faces = np.flatnonzero(self.material.track.valid)
        self._place = {int(n): p for p, n in enumerate(self.faces)}
        self._camera = self.face.camera.part(self.faces).seen_through(self.material.matrices[self.faces])
        self._encoded: dict[int, tuple[Tensor, Tensor]] = {}
        self._coming: Iterator[tuple[int, Frame]] | None = None
        self._lip, self._face = self._chosen()

    @torch.inference_mode()
    def __call__(self, numbers: Sequence[int], crops: Sequence[Frame]) -> NDArray[np.uint8]:
        """See Session. Neighbours are read ahead from the video, so what is in a batch moves nothing."""
        renderer, device = self.made.renderer, self.made.device
        pnccs, masks, known = [], [], []
        for n in numbers:
            at = self._place[n]
            camera = self._camera.part(slice(at, at + 1))
            made, real = (camera.pose(g.vertices[n : n + 1])[0] for g in (self.target, self.face))
            lips = self.made.provider.topology.lips
            pnccs.append(pncc(self.made.provider.topology, made, self.made.size))
            masks.append(lip_mask([made[lips, :2], real[lips, :2]], self.made.size, renderer.grid))
            known.append(self._face or self._neighbours(at))
        image, mask = (torch.from_numpy(np.stack(x)).to(device) for x in (pnccs, masks))
        face = Known(*(torch.cat(x) for x in zip(*known, strict=True)))
        lip = Known(*(x.expand(len(numbers), -1, -1) for x in self._lip))
        return to_frames(renderer.render(image, face, lip, mask))

    @torch.inference_mode()
    def _chosen(self) -> tuple[Known, Known | None]:
        """Lip references of the whole video; face references where they are not the neighbours."""
        config = self.made.renderer.config
        count = self.made.lip_references or config.lip_references_used
        for kind, wanted in (("lip", count), ("face", config.face_references)):
            if len(self.faces) < wanted:
                self.material.notes.append(
                    f"{len(self.faces)} frames show the face, so the {wanted} {kind} references repeat some"
                )
        if config.references == "selected":
            openings = self.made.provider.topology.openings(self.face.vertices[self.faces])
            return self._know("lip", by_opening(openings, count)), None
        rng = np.random.default_rng(0)
        lip, face = (
            rng.choice(len(self.faces), k, replace=len(self.faces) < k).tolist()
            for k in (count, config.face_references)
        )
        return self._know("lip", lip), self._know("face", face)

    def _know(self, which: str, places: Sequence[int]) -> Known:
        """Keys and values of frames by their places among those with a face; one pass over the video."""
        wanted = {int(self.faces[p]) for p in places}
        found: dict[int, tuple[Tensor, Tensor]] = {}
        for n, frame in enumerate(self.material.video.clip.frames(0, max(wanted) + 1)):
            if n in wanted:
                found[n] = self._encode(n, frame)
        order = [found[int(self.faces[p])] for p in places]
        geometry, texture = (torch.cat(x)[None] for x in zip(*order, strict=True))
        return self.made.renderer.know(which, geometry, texture)

    def _encode(self, n: int, frame: Frame) -> tuple[Tensor, Tensor]:
        """Geometry and texture (1, h * w, C) of one frame with its own geometry."""
        at, made, points = self._place[n], self.made, self.material.track.points[n]
        crop = made.alignment.crop(frame, points, self.material.matrices[n], made.size)
        posed = self._camera.part(slice(at, at + 1)).pose(self.face.vertices[n : n + 1])[0]
        drawn = torch.from_numpy(pncc(made.provider.topology, posed, made.size))[None]
        return made.renderer.encode(to_tensor(crop[None]).to(made.device), drawn.to(made.device))

    def _neighbours(self, at: int) -> Known:
        """Face references of the frame at a place: the N_f centred on it."""
        wanted = [int(self.faces[p]) for p in centred(at, len(self.faces), self.made.renderer.config.face_references)]
        if self._coming is None:
            first = min(wanted)
            frames = self.material.video.clip.frames(first, self.material.video.clip.n_frames)
            self._coming = iter(enumerate(frames, start=first))
        while not set(wanted) <= set(self._encoded):
            n, frame = next(self._coming)
            if n in self._place:
                self._encoded[n] = self._encode(n, frame)
        for n in [n for n in self._encoded if n < min(wanted)]:
            del self._encoded[n]
        geometry, texture = (torch.cat(x)[None] for x in zip(*(self._encoded[n] for n in wanted), strict=True))
        return self.made.renderer.know("face", geometry, texture)


def load_generator(
    geometry: Path, renderer: Path, device: str = "auto", files: GeometryConfig | None = None
) -> PersonaTalkGenerator:
    """Both stages.

    Args:
        geometry: RUN or RUN/checkpoints/STEP of train-geometry.
        renderer: of train-renderer.
        device: as --device.
        files: where the provider's files are on this machine; None: as the checkpoint of stage 1 says.

    Raises:
        RefusedCheckpoint: wrong kinds, damaged, or of two providers.
        MissingWeights: what the provider needs is not here.
    """
    network, first, topology, chosen = load_geometry_network(geometry, device)
    drawn, second, _ = load_renderer(renderer, device)
    a, b = first.config.geometry, second.config.geometry
    if a.provider != b.provider:
        raise RefusedCheckpoint(
            f"{first.folder} was trained on {a.provider}, {second.folder} on {b.provider}; give stages of one provider"
        )
    asked = a if files is None else files.model_copy(update={"provider": a.provider, "smooth": a.smooth})
    provider = open_provider(asked)
    if provider.topology.digest != topology.digest:
        raise RefusedCheckpoint(f"{first.folder}: its vertices are not those of the given files; give the same model")
    return PersonaTalkGenerator(network, drawn, provider, (first, second), chosen)

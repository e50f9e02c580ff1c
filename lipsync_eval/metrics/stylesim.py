"""StyleSim: does the generated face move in the speaker's manner? One family per feature set; each also against a reference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lipsync_eval.batch import Batch
from lipsync_eval.cache import Cache
from lipsync_eval.errors import ClipError, InputError, LipsyncError, MetricError, MissingWeights, RefusedCheckpoint
from lipsync_eval.features.style import constants as style_constants
from lipsync_eval.features.style import files as style_files
from lipsync_eval.features.style.code import FEW, cosine
from lipsync_eval.files import sha256
from lipsync_eval.metrics.base import Failure, Family, Measurement
from lipsync_eval.metrics.helpers.stylesim_codes import Collector, Encoded, Points, Scores, Spread, Trained
from lipsync_eval.metrics.helpers.stylesim_specs import BLENDSHAPES, DIFFPOSETALK, POINTS68, VERTICES, VERTICES_ENCODER
from lipsync_eval.options import Option
from lipsync_eval.types import Float, Pair, Settings, Side

if TYPE_CHECKING:
    from lipsync_eval.features.style.constants import StyleConstants
    from lipsync_eval.features.style.diffposetalk import DiffPoseTalk
    from lipsync_eval.features.style.training import TrainedEncoder
    from lipsync_eval.weights import WeightFile


class _StyleSim(Family):
    """What the four families share. `features` names the set; the hooks say how a video becomes a code."""

    features: ClassVar[str]

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self.name = f"stylesim_{self.features}"
        self.own = self.name in metrics
        self.ref = f"{self.name}_ref" in metrics
        self._reference: tuple[Path, Float] | None = None

    def check(self) -> None:
        """The reference is there where one is needed."""
        from lipsync_eval.features import reference

        if self.ref:
            reference.check(self.settings)

    @abstractmethod
    def collector(self, side: Side, n_frames: int) -> Collector:
        """How one video becomes a code; raises ClipError where it cannot. `n_frames` is the pair's common length."""

    def reference_code(self, clip_id: str) -> Float:
        """The code of the clip's reference (one for all clips is read once); raises ClipError where there is none."""
        from lipsync_eval.features import reference

        path = reference.find(self.settings, clip_id)
        if self._reference is None or self._reference[0] != path:
            clip = reference.open_reference(path)
            side = Side(clip, None, reference.track_reference(self.settings, clip), None)
            collector = self.collector(side, side.clip.n_frames)
            if collector.needs_frames:
                for i, frame in enumerate(side.clip.frames()):
                    collector.update(i, [frame])
            self._reference = path, collector.code()[0]
        return self._reference[1]

    def start(self, pair: Pair) -> StyleSimMeter:
        """A meter for one pair."""
        return StyleSimMeter(self, pair)

    def notes(self) -> list[str]:
        """What a clip's notes should say about weights."""
        return []


class StyleSimPoints68(_StyleSim):
    """`stylesim_points68`: statistics of mouth and chin points. Runs with no download."""

    features = "points68"
    specs = POINTS68
    options = (style_constants.POINTS68,)

    def constants(self) -> StyleConstants:
        """What codes are standardised with."""
        from lipsync_eval.features.style.constants import load

        return load(self.settings, self.features)

    def check(self) -> None:
        """The constants can be read, and the reference is there where one is needed."""
        super().check()
        self.constants()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the feature set with its version. const: the constants by hash."""
        return {"feat": "points68.1", "const": self.constants().digest}

    def collector(self, side: Side, n_frames: int) -> Collector:
        """The landmarks of the run's own track."""
        return Points(side, self.constants())


class StyleSimBlendshapes(_StyleSim):
    """`stylesim_blendshapes`: statistics of MediaPipe's blendshapes, where mediapipe is installed."""

    features = "blendshapes"
    specs = BLENDSHAPES
    options = (style_constants.BLENDSHAPES,)

    def _file(self) -> WeightFile:
        from lipsync_eval.features.blendshapes import ROW
        from lipsync_eval.weights import locate

        return locate(self.settings, ROW)

    def constants(self) -> StyleConstants:
        """What codes are standardised with."""
        from lipsync_eval.features.style.constants import load

        return load(self.settings, self.features)

    def check(self) -> None:
        """mediapipe, its model and the constants are here."""
        from lipsync_eval.features.blendshapes import check_installed

        super().check()
        self._file()
        check_installed()
        self.constants()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the model by hash, with mediapipe's version (its graph is part of the model). const: the constants by hash."""
        from lipsync_eval.features.blendshapes import feature_name

        return {"feat": feature_name(self._file().signature), "const": self.constants().digest}

    def notes(self) -> list[str]:
        """Whether the model is another file than the published one."""
        return [self._file().note] if self._file().note else []

    def collector(self, side: Side, n_frames: int) -> Collector:
        """MediaPipe on the frames, or the scores out of the cache."""
        return Scores(
            side, self.constants(), self._file().path, Cache(self.settings.cache_dir), self.signature(self.name)["feat"]
        )


class StyleSimDiffPoseTalk(_StyleSim):
    """`stylesim_diffposetalk`: the released encoder on FLAME coefficients that the user brings."""

    features = "diffposetalk"
    specs = DIFFPOSETALK

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self._model: DiffPoseTalk | None = None

    def _files(self) -> tuple[WeightFile, WeightFile]:
        from lipsync_eval.weights import locate

        return locate(self.settings, "diffposetalk"), locate(self.settings, "diffposetalk", part="stats")

    def check(self) -> None:
        """Both files are here, and the reference where one is needed."""
        super().check()
        self._files()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the encoder and its z-score by hash. win: the windows."""
        encoder, stats = self._files()
        return {"feat": f"{encoder.signature}+{stats.sha256[:8]}", "win": "100,50"}

    def notes(self) -> list[str]:
        """Whether the encoder's files are other ones than those published."""
        return [f.note for f in self._files() if f.note]

    def collector(self, side: Side, n_frames: int) -> Collector:
        """The coefficients in <stem>.flame.npz beside the video."""
        return Encoded(
            self._loaded(),
            style_files.read_flame(style_files.beside(side.clip.path, style_files.FLAME), side.clip.n_frames).cut(
                n_frames
            ),
        )

    def reference_code(self, clip_id: str) -> Float:
        """From the .npz alone."""
        return Encoded(
            self._loaded(),
            style_files.read_flame(style_files.of_reference(self.settings, clip_id, style_files.FLAME), None),
        ).code()[0]

    def _loaded(self) -> DiffPoseTalk:
        if self._model is None:
            from lipsync_eval.device import pick
            from lipsync_eval.features.style.diffposetalk import load

            encoder, stats = self._files()
            self._model = load(encoder.path, stats.path)
            self._model.encoder.to(pick(self.settings.device))
        return self._model


class StyleSimVertices(_StyleSim):
    """`stylesim_vertices`: mean and std of expression-only vertices that the user brings."""

    features = "vertices"
    specs = VERTICES

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the feature set with its version."""
        return {"feat": "vertices.1"}

    def collector(self, side: Side, n_frames: int) -> Collector:
        """The vertices in <stem>.vertices.npz beside the video."""
        return Spread(
            style_files.read_vertices(style_files.beside(side.clip.path, style_files.VERTICES), side.clip.n_frames).cut(
                n_frames
            )
        )

    def reference_code(self, clip_id: str) -> Float:
        """From the .npz alone."""
        return Spread(
            style_files.read_vertices(style_files.of_reference(self.settings, clip_id, style_files.VERTICES), None)
        ).code()[0]


ENCODER = Option(
    name="style_encoder",
    heading="StyleSim",
    help="For stylesim_vertices_encoder: what `style train --features vertices` wrote.",
    kind="path",
    moves=True,
    key="",
)


class StyleSimVerticesEncoder(_StyleSim):
    """`stylesim_vertices_encoder`: an encoder of the user's own on expression-only vertices."""

    features = "vertices_encoder"
    specs = VERTICES_ENCODER
    options = (ENCODER,)

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self.path = self.option(ENCODER.name)
        self._model: TrainedEncoder | None = None

    def check(self) -> None:
        """The encoder can be read, and the reference is there where one is needed."""
        super().check()
        self._loaded()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the encoder by hash."""
        return {"feat": f"vertices-encoder@{sha256(self._file())[:8]}"}

    def collector(self, side: Side, n_frames: int) -> Collector:
        """The vertices in <stem>.vertices.npz beside the video."""
        held = style_files.read_vertices(style_files.beside(side.clip.path, style_files.VERTICES), side.clip.n_frames)
        return Trained(self._loaded(), held.cut(n_frames))

    def reference_code(self, clip_id: str) -> Float:
        """From the .npz alone."""
        path = style_files.of_reference(self.settings, clip_id, style_files.VERTICES)
        return Trained(self._loaded(), style_files.read_vertices(path, None)).code()[0]

    def _file(self) -> Path:
        """
        Raises:
            MissingWeights: no encoder was given.
        """
        if not self.path or not Path(self.path).is_file():
            raise MissingWeights(
                "stylesim_vertices_encoder needs a style encoder, of which none is published: train one with `lipsync-eval style train "
                f"CLIPS --features vertices` and give --option style_encoder=FILE{f' (there is no {self.path})' if self.path else ''}"
            )
        return Path(self.path)

    def _loaded(self) -> TrainedEncoder:
        """
        Raises:
            MissingWeights: no encoder was given.
            RefusedCheckpoint: it is none, or one of other features.
        """
        from lipsync_eval.features.style.training import load

        if self._model is None:
            self._model = load(self._file())
            if (found := self._model.constants.features) != "vertices":
                raise RefusedCheckpoint(
                    f"{self.path} was trained on {found}; one of `style train --features vertices` is needed"
                )
        return self._model


class StyleSimMeter:
    """Follows both videos of one pair to their style codes."""

    def __init__(self, family: _StyleSim, pair: Pair) -> None:
        self.family, self.pair = family, pair
        self.lengths = {"gen": pair.n_frames, "gt": pair.gt_frames}
        self.sides = {"gen": self._open(pair.gen, pair.n_frames)}
        if pair.gt is not None:
            self.sides["gt"] = self._open(pair.gt, pair.gt_frames)

    def _open(self, side: Side, n_frames: int) -> Collector | LipsyncError:
        try:
            return self.family.collector(side, n_frames)
        except ClipError as error:
            return error

    @property
    def looks_at(self) -> frozenset[str]:
        """The videos whose collectors need frames."""
        sides = self.sides.items()
        return frozenset(f"{name}.frames" for name, c in sides if not isinstance(c, LipsyncError) and c.needs_frames)

    def update(self, batch: Batch) -> None:
        """Take the next frames."""
        for name, frames in (("gen", batch.gen), ("gt", batch.gt)):
            if f"{name}.frames" in self.looks_at:
                self.sides[name].update(batch.start, frames)  # type: ignore[union-attr]

    def finish(self) -> Measurement:
        """The clip's numbers; a video without a code is a failure of the metrics that need it."""
        family = self.family
        found = Measurement(notes=family.notes())
        codes = {name: self._code(name, found) for name in self.sides}
        codes.setdefault("gt", MetricError("the run has no real video to compare with; score with GT"))
        if family.own:
            self._compare(found, family.name, codes["gen"], codes["gt"])
        if family.ref:
            try:
                reference: Float | LipsyncError = family.reference_code(self.pair.id)
            except (ClipError, InputError) as error:
                reference = type(error)(f"reference: {error}")
            self._compare(found, f"{family.name}_ref", codes["gen"], reference)
            if (
                not isinstance(codes["gt"], LipsyncError)
                and not isinstance(reference, LipsyncError)
                and codes["gt"].shape == reference.shape
            ):
                found.gt_values[f"{family.name}_ref"] = cosine(codes["gt"], reference)
        return found

    def _code(self, name: str, found: Measurement) -> Float | LipsyncError:
        collector = self.sides[name]
        which = "generated" if name == "gen" else "real"
        try:
            if isinstance(collector, LipsyncError):
                raise collector
            code, used = collector.code()
        except (ClipError, InputError) as error:
            return type(error)(f"{which} video: {error}")
        found.notes += [f"{self.family.name}: {which} video: {note}" for note in collector.notes]
        found.details[f"{self.family.name}_frames_{name}"] = used
        if used < (n := self.lengths[name]):
            found.notes.append(
                f"{self.family.name}: {n - used} of {n} frames of the {which} video have no face and are left out"
            )
        if used < FEW:
            found.notes.append(
                f"{self.family.name}: the style of the {which} video rests on {used} frames; under {FEW} (4 s) it is uncertain"
            )
        return code

    def _compare(self, found: Measurement, metric: str, a: Float | LipsyncError, b: Float | LipsyncError) -> None:
        for side in (a, b):
            if isinstance(side, LipsyncError):
                found.failures.append(Failure(metric, type(side).__name__, str(side)))
                return
        if a.shape != b.shape:  # type: ignore[union-attr]
            message = f"the two videos have style codes of {len(a)} and {len(b)} numbers; bring both to one topology"  # type: ignore[arg-type]
            found.failures.append(Failure(metric, "MetricError", message))
        else:
            found.values[metric] = cosine(a, b)  # type: ignore[arg-type]

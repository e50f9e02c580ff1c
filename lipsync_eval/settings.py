"""What a run was asked to do, apart from which clips and which metrics. It checks itself wherever it is made."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Final, Literal, Protocol

from lipsync_eval.align import parse_align
from lipsync_eval.cache import find_cache_dir
from lipsync_eval.errors import UsageError
from lipsync_eval.options import Option, checked, clean

AudioChoice = Literal["gen", "gt"]
FaceChoice = Literal["largest", "single", "speaking"]
SettingChoice = Literal["self", "cross"]
PrecisionChoice = Literal["fp32", "bf16"]

RUN_OPTIONS: Final = (
    Option(
        name="protocol", heading="First", kind="text", default="radio", moves=True, flag=True,
        help="How faces are cropped: a name (`list protocols`) or a TOML file.",
    ),
    Option(
        name="audio", heading="Videos", kind="choice", choices=("gen", "gt"), default="gen", moves=True, flag=True,
        help="Whose audio is scored.",
    ),
    Option(
        name="setting", heading="Videos", kind="choice", choices=("self", "cross"), default="self", moves=True, flag=True,
        help="What GT shows; self: the same speech; cross: other speech of the person.",
    ),
    Option(
        name="align", heading="Videos", kind="text", default="trim:5", moves=True, flag=True,
        help="trim:N | strict | shortest, for videos of unlike length.",
    ),
    Option(
        name="reference", heading="Videos", kind="path", moves=True, flag=True,
        help="Image, video or folder of them (by clip id) for the _ref metrics.",
    ),
    Option(
        name="face", heading="Faces", kind="choice", choices=("largest", "single", "speaking"), default="largest",
        moves=True, flag=True, help="Whom to follow; single: several fail; speaking: who talks.",
    ),
    Option(
        name="landmarks", heading="Faces", kind="text", default="dlib68", moves=True, flag=True,
        help="Landmark backend: dlib68 | fan | mediapipe.",
    ),
    Option(
        name="detector", heading="Faces", kind="text", moves=True, flag=True,
        help="Face detector: hog | yunet | mediapipe | s3fd; not given: the backend's own.",
    ),
    Option(
        name="device", heading="First", kind="text", default="auto", moves=False, flag=True,
        help="auto | cpu | cuda[:N]",
    ),
    Option(
        name="precision", heading="Speed", kind="choice", choices=("fp32", "bf16"), default="fp32", moves=True, flag=True,
        key="dtype", help="Number format of the networks; bf16 is faster on GPUs and moves numbers.",
    ),
    Option(
        name="cache_crops", heading="Speed", kind="flag", moves=False, flag=True,
        help="Keep the real videos' crops as well: a second checkpoint costs less, the disk more.",
    ),
    Option(name="offline", heading="Weights and cache", kind="flag", moves=False, flag=True, help="Open no socket."),
    Option(
        name="seed", heading="Output", kind="int", default="12345", moves=False, flag=True,
        help="Of the bootstrap intervals.",
    ),
)  # fmt: skip
"""The settings that are no option of a metric or protocol. Which of them stand in a signature depends on the metric."""

_DEVICE: Final = re.compile(r"auto|cpu|cuda(:[0-9]+)?")


class _Spec(Protocol):
    """What is asked here of a crop protocol's spec."""

    @property
    def name(self) -> str: ...
    @property
    def options(self) -> Sequence[Option]: ...


class _Bound(Protocol):
    @property
    def spec(self) -> _Spec: ...


def _known_options() -> Mapping[str, Option]:
    """The options of all metric families. What knows names lies above this file and is bound when it is asked."""
    declared: Callable[[], Mapping[str, Option]] = import_module("lipsync_eval.metrics.registry").declared_options
    return declared()


def _protocol_spec(name: str) -> _Spec:
    get: Callable[[str], _Bound] = import_module("lipsync_eval.protocols").get
    return get(name).spec


def _check_backend(name: str, kind: Literal["landmarks", "detector"]) -> None:
    get: Callable[[str, str], object] = import_module("lipsync_eval.faces.backends").get
    get(name, kind)


@dataclass(frozen=True)
class Settings:
    """How a run measures. Picklable: workers get a copy.

    Paths may be given as texts, and values of options as numbers or paths; they are kept as declared here.

    Raises:
        UsageError: a value that there is not, with near ones and the list. What lies in files (a TOML protocol, weights) is
            looked at when the run starts.
    """

    protocol: str = "radio"
    """A registered name or the path of a TOML file."""
    protocol_options: Mapping[str, str] = field(default_factory=dict)
    """Options that the protocol declares, e.g. {'crop_from': 'own'}."""
    audio: AudioChoice = "gen"
    """Whose audio is scored."""
    setting: SettingChoice = "self"
    """self: the real video shows what the generated one should. cross: the same person says something else in it."""
    align: str = "trim:5"
    """trim:N, strict or shortest: what to do with videos of unlike length."""
    face: FaceChoice = "largest"
    """single: a clip that shows several faces fails. speaking: the person whose mouth follows the audio best; where nobody's
    surely does, the clip fails."""
    landmarks: str = "dlib68"
    detector: str | None = None
    """None: the landmark backend's own."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: PrecisionChoice = "fp32"
    """bf16: convolutions and matrix products of the networks in bfloat16. What finds faces stays float32."""
    weights: Mapping[str, Path] = field(default_factory=dict)
    """Weights row or role -> a file of the user's (--weights NAME=FILE)."""
    weights_dir: Path | None = None
    """Folder of weights files; None: LIPSYNC_EVAL_WEIGHTS, else the user's cache folder."""
    cache_dir: Path | None = field(default_factory=find_cache_dir)
    """Folder for tracks and features of videos; default the user's cache folder; None: none are kept."""
    cache_crops: bool = False
    """Keep the real videos' crops in the cache too, lossless: at 256 px 0.3 GB for a minute of video."""
    offline: bool = False
    """Open no socket."""
    seed: int = 12345
    """Of the bootstrap intervals; 0 or more."""
    reference: Path | None = None
    """An image or video (or a folder of them, by id) for the _ref metrics."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options that metric families declare, e.g. {'roi': 'center88', 'fid_stats': 'real.npz'}. One that no metric of this run
    has does nothing, so that several runs can share their settings."""
    writes: frozenset[str] = frozenset()
    """Options whose file the run itself writes, also where the file exists by now (fid_stats, fvd_stats). A run settles it
    when it starts, and a resumed run keeps it: there is no need to give it."""

    def __post_init__(self) -> None:
        for option in RUN_OPTIONS:
            if option.kind == "choice":
                clean(option, getattr(self, option.name))
        self._keep("protocol", os.fspath(self.protocol) if isinstance(self.protocol, os.PathLike) else self.protocol)
        for name in ("protocol", "align", "landmarks", "device"):
            if not isinstance(getattr(self, name), str):
                raise UsageError(f"{name}={getattr(self, name)!r}: expected a text")
        parse_align(self.align)
        if not _DEVICE.fullmatch(self.device):
            raise UsageError(f"--device {self.device!r} is no device; give auto, cpu, cuda or cuda:N")
        for name in ("offline", "cache_crops"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name}={getattr(self, name)!r}: expected True or False")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise UsageError(f"seed={self.seed!r}: expected a whole number, 0 or more")
        self._keep("writes", frozenset(self.writes))
        self._check_paths()
        self._check_faces()
        self._check_options()

    def _check_paths(self) -> None:
        for name in ("weights_dir", "cache_dir", "reference"):
            if (value := getattr(self, name)) is not None:
                self._keep(name, _path(name, value))
        given = _mapping("weights", self.weights)
        self._keep("weights", {row: _path(f"weights[{row!r}]", file) for row, file in given.items()})

    def _check_faces(self) -> None:
        if self.landmarks != "dlib68":
            _check_backend(self.landmarks, "landmarks")
        if self.detector is not None:
            _check_backend(self.detector, "detector")

    def _check_options(self) -> None:
        if given := _mapping("options", self.options):
            self._keep("options", checked(list(_known_options().values()), given, "lipsync-eval"))
        given = _mapping("protocol_options", self.protocol_options)
        if not self.protocol.endswith(".toml") and (given or self.protocol != "radio"):
            spec = _protocol_spec(self.protocol)
            self._keep("protocol_options", checked(spec.options, given, f"protocol {spec.name!r}"))

    def _keep(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def _mapping(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{name}={value!r}: expected a mapping of names to values, such as {{'name': 'value'}}")
    return value


def _path(name: str, value: object) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not str(value):
        raise UsageError(f"{name}={value!r}: expected a path")
    return Path(value)

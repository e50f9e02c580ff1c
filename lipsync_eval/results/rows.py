"""The rows of results.json: plain data with the meaning of every field.

A score that does not exist is None together with a failure row; never 0, NaN or a missing row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from lipsync_eval.results.facts import Direction, completed
from lipsync_eval.results.numbers import LARGEST, fixed

Resample = Literal["clip", "speaker"]
"""What intervals and tests resample: clips, or speakers with all their clips (clips of one person are not independent)."""

Number = Annotated[FiniteFloat, Field(ge=-LARGEST, le=LARGEST)]
"""A measurement."""


class JsonRecord(BaseModel):
    """Frozen data. What a later version adds is kept, not dropped."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class RunInfo(JsonRecord):
    """How and when the run was made; nothing here can move a score but `seed`, which moves intervals."""

    name: str
    """The method's name in tables."""
    command: list[str]
    """The command line, as given."""
    version: str
    commit: str | None
    """Commit of the lipsync-eval checkout it ran from, None for an installed package."""
    dirty: bool | None
    seed: int
    started: str
    """ISO 8601, UTC."""
    seconds: FiniteFloat
    id: str = ""
    """Of this run alone: the journal's entries carried it."""
    plan: dict[str, Any] | None = None
    """What --resume compares: signatures, clips and seed. None in a baseline file and in a study."""
    reference: str = ""
    """Where the generator's reference frame came from, as `compare` knows it: 'given', 'own-frame', 'drawn', 'none' or
    'not stated'. '' in a run that `compare` did not make."""


class DataInfo(JsonRecord):
    """What was scored."""

    n_pairs: int
    """Clips asked for, unmatched ones included: n_asked of every score."""
    digest: str
    """sha256 over ids and contents of both sides."""
    gt_digest: str
    """sha256 over ids and contents of the real side; '' for a run without real videos."""
    gen: str
    """Folder or file of the generated videos. In a file: from the file's own folder where it can, else absolute."""
    gt: str
    """The same of the real videos; '' where there are none."""


class Interval(JsonRecord):
    """Percentile bootstrap over clips."""

    low: Number
    high: Number
    level: FiniteFloat
    n_boot: int
    seed: int


class Score(JsonRecord):
    """One metric over all clips, with the facts that a reader needs."""

    metric: str
    title: str
    """Heading in tables, e.g. 'PSNR'."""
    value: Number | None
    """Mean over the clips that have a value, or pooled. For direction 'zero' the signed mean: see `mean_abs`."""
    mean_abs: Number | None = None
    """For direction 'zero': mean of the clips' absolute values, by which the metric is ranked and gated; else None."""
    gt_value: Number | None
    """The real videos' own mean score, where the metric needs no reference."""
    unit: str
    """'dB', 'px', 'frames', or '1' for none."""
    direction: Direction | None
    """up: higher is better; down: lower is better; zero: nearest to zero is best; None: no direction is better, or none is known."""
    decimals: int = Field(ge=0, le=10)
    """Digits after the point in tables."""
    family: str
    """Metrics of one family measure nearly the same thing: tests treat them together."""
    ranked: bool
    """False: shown, but neither marked in tables nor gated unless it is named."""
    ci: Interval | None
    resample: Resample = "clip"
    """What `ci` resampled."""
    n_scored: int
    n_asked: int
    signature: str
    notes: list[str] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        return completed(data) if isinstance(data, Mapping) else data

    @property
    def pooled(self) -> bool:
        """Whether the value comes from all clips together, so that no clip has one of its own."""
        return "agg:pooled" in self.signature.split("|")

    def printed(self, value: float | None) -> str:
        """A value of this metric with its digits; 'none' where there is none."""
        return "none" if value is None else fixed(value, self.decimals)

    def __str__(self) -> str:
        """One line: title, signature, value, interval, clips."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        said = [f"{self.n_scored} of {self.n_asked} clips"]
        if self.mean_abs is not None:
            said.insert(0, f"mean of absolute values {self.printed(self.mean_abs)}")
        if self.ci is not None:
            low, high = self.printed(self.ci.low), self.printed(self.ci.high)
            said.insert(0, f"{100 * self.ci.level:g} % interval over {self.resample}s {low} .. {high}")
        return f"{self.title}|{self.signature} = {self.printed(self.value)}{unit} ({'; '.join(said)})"

    def __repr__(self) -> str:
        """Short: metric, value, clips."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"<Score {self.metric} {self.printed(self.value)}{unit}, {self.n_scored} of {self.n_asked} clips>"


class ClipRow(JsonRecord):
    """One clip."""

    id: str
    gen: str | None
    gt: str | None
    n_frames: int | None
    """Frames at 25 fps: the common length, or the generated video's own where the two are not paired; None: never read."""
    values: dict[str, Number | None]
    gt_values: dict[str, Number | None]
    notes: list[str]
    details: dict[str, Any]
    speaker: str | None = None
    """Who speaks, where the manifest says so: `--resample speaker` draws speakers instead of clips."""


class FailureRow(JsonRecord):
    """Something that could not be scored."""

    id: str
    stage: Literal["pair", "decode", "align", "faces", "crop", "weights", "metric"]
    metric: str | None
    """None: every metric of the clip."""
    error: str
    """Class of the error, e.g. FaceError."""
    message: str

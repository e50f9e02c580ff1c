"""A plan as a file, so that the shares of a run can be put together where its videos and weights are not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lipsync_eval.engine.plan import Plan
from lipsync_eval.engine.tools import open_tools
from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.media.pairing import Pairing
from lipsync_eval.media.pairs import PairPaths
from lipsync_eval.metrics.helpers.real_stats import RealStats
from lipsync_eval.metrics.registry import declared_options, get_spec
from lipsync_eval.results.paths import absolute
from lipsync_eval.results.rows import Resample
from lipsync_eval.results.signature import CROP_FROM, format_signature, parse_signature
from lipsync_eval.types import Settings
from lipsync_eval.urls import Place, Url, place

_SIDES = ("gen", "gt", "audio", "gt_audio")


@dataclass(frozen=True)
class KeptPlan(Plan):
    """A plan that was read from a file. Its signatures are those of the machine that made it."""

    name: str = ""
    """The method's name in tables."""
    resample: Resample = "clip"
    lengths: tuple[int, ...] = ()
    """Milliseconds of the clips, by which they were shared out."""
    same: str = ""
    """Equal for plans that can be put together: ids, sizes of files, signatures, seed, resampling."""
    signatures: Mapping[str, str] = field(default_factory=dict)
    """metric -> its signature with nothing scored."""
    stamp: Mapping[str, Any] = field(default_factory=dict)

    def signature(self, metric: str, n_scored: int, cropped: Iterable[str] | None = None) -> str:
        """The signature of one score of this run; `cropped`: see MeasuringTools.signature_parts."""
        parts = parse_signature(self.signatures[metric]) | {"n": f"{n_scored}of{len(self.pairs)}"}
        if parts.pop(CROP_FROM, "") and (whose := self.tools.crop_from(self.tools.ask(metric), cropped)):
            parts[CROP_FROM] = whose
        if (stats := self.stats(metric)) is not None and metric in stats.written:
            parts["real"] = stats.written[metric]
        return format_signature(parts)

    def stats(self, metric: str) -> RealStats | None:
        """The file of statistics of real videos that a metric reads or writes, if any."""
        return None if metric in self.missing else self.tools.ask(metric).family.stats

    def check_stats(self) -> None:
        """Look at the files of statistics of real videos, which are read or written when the shares are put together.

        Raises:
            UsageError: one that the shares read is not here or has another content; or, for a new one, its folder is not here.
        """
        for metric in self.metrics:
            if (stats := self.stats(metric)) is None:
                continue
            stats.check({})
            read = parse_signature(self.signatures[metric]).get("real", "")
            if read and not (stats.reading and stats.signature(metric) == read):
                what = "has another content now" if stats.reading else "is not here"
                raise UsageError(
                    f"{stats.flag} {stats.path}: {what}, and the shards were measured with it ({metric}, {read}); "
                    "put the same file there, then merge again"
                )

    def fingerprint(self) -> dict[str, Any]:
        """That of the plan when it was kept."""
        return dict(self.stamp)


def kept(plan: Plan, name: str, resample: Resample, lengths: Sequence[int], stamp: Mapping[str, Any]) -> dict[str, Any]:
    """A plan as plain data; `read_plan` is the inverse. Paths become absolute."""
    signatures = {metric: plan.signature(metric, 0) for metric in plan.metrics}
    rows = [[pair.id, *(_size(getattr(pair, side)) for side in _SIDES), pair.speaker] for pair in plan.pairs]
    what = [rows, signatures, plan.settings.seed, resample, sorted(plan.forced)]
    return {
        "gen": absolute(str(plan.gen)),
        "gt": None if plan.gt is None else absolute(str(plan.gt)),
        "forced": sorted(plan.forced),
        "name": name,
        "resample": resample,
        "settings": settings_data(plan.settings),
        "missing": dict(plan.missing),
        "signatures": signatures,
        "real_facts": _real_facts(plan),
        "same": hashlib.sha256(json.dumps(what).encode()).hexdigest(),
        "stamp": dict(stamp),
        "pairs": [
            [pair.id, *(None if (p := getattr(pair, side)) is None else absolute(str(p)) for side in _SIDES), pair.speaker]
            for pair in plan.pairs
        ],
        "lengths": list(lengths),
    }  # fmt: skip


def read_plan(data: Mapping[str, Any], source: Path) -> KeptPlan:
    """The plan that `kept` wrote.

    Args:
        data: what `kept` gave.
        source: its file, for messages.

    Raises:
        ParseError: it is not of that form.
    """
    try:
        raw = dict(data["settings"])
        settings = Settings(**{k: v for k, v in raw.items() if k in {f.name for f in fields(Settings)}})
        signatures = {str(k): str(v) for k, v in data["signatures"].items()}
        missing = {str(k): str(v) for k, v in data["missing"].items()}
        metrics = tuple(signatures)
        for metric in metrics:
            get_spec(metric)
            parse_signature(signatures[metric])
        tools = open_tools(settings, [m for m in metrics if m not in missing], real=data["gt"] is not None)
        for metric, facts in data["real_facts"].items():
            if (stats := tools.ask(metric).family.stats) is not None:
                stats.settled[metric] = {str(k): str(v) for k, v in facts.items()}
        pairs = tuple(_pair(row) for row in data["pairs"])
        lengths = tuple(int(n) for n in data["lengths"])
        resample = data["resample"]
        if len(lengths) != len(pairs) or resample not in ("clip", "speaker"):
            raise ValueError("its parts do not fit each other")
        return KeptPlan(
            gen=place(str(data["gen"])),
            gt=None if data["gt"] is None else place(str(data["gt"])),
            settings=settings,
            pairs=pairs,
            metrics=metrics,
            tools=tools,
            missing=missing,
            warnings=(),
            pairing=Pairing(pairs),
            forced=frozenset(str(m) for m in data["forced"]),
            name=str(data["name"]),
            resample=resample,
            lengths=lengths,
            same=str(data["same"]),
            signatures=signatures,
            stamp=dict(data["stamp"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ParseError(
            f"{source}: is no plan that this version of lipsync-eval can read ({why}); "
            "put shards together with the version that measured them"
        ) from error


def _pair(row: Sequence[Any]) -> PairPaths:
    name, *paths, speaker = row
    gen, gt, audio, gt_audio = (None if p is None else place(str(p)) for p in paths)
    return PairPaths(str(name), gen, gt, audio, gt_audio, None if speaker is None else str(speaker))


def settings_data(settings: Settings) -> dict[str, Any]:
    """Settings as plain data for JSON, its paths absolute; Settings(**data) is the inverse, in any folder."""
    data = {f.name: _plain(getattr(settings, f.name)) for f in fields(Settings)}
    known = declared_options()
    data["options"] = {k: absolute(v) if known[k].kind == "path" else v for k, v in settings.options.items()}
    if settings.protocol.endswith(".toml"):
        data["protocol"] = absolute(settings.protocol)
    return data


def _real_facts(plan: Plan) -> dict[str, dict[str, str]]:
    """metric -> what the features of real videos hang on, where the run writes their statistics: it is settled by weights."""
    asks = [(ask.name, ask.family) for ask in plan.tools.asks]
    return {
        metric: dict(family.real_facts(metric))
        for metric, family in asks
        if family.stats is not None and not family.stats.reading
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return absolute(str(value)) if isinstance(value, Path) else value


def _size(path: Place | None) -> int | None:
    """Bytes of a file; of a folder 0, since file systems differ on it."""
    if isinstance(path, Url):
        return path.size
    try:
        return None if path is None else 0 if path.is_dir() else path.stat().st_size
    except OSError:
        return None

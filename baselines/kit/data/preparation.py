"""`prepare`: a folder of talking videos -> crops, landmarks, audio and more in shards, resumable.

Videos are grouped; a group is prepared by one process into shards of its own and enters the manifest when it is whole.
A killed run loses at most the groups it was working on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lipsync_eval.baselines.kit.data import layouts
from lipsync_eval.baselines.kit.data.cutting import Options, segments
from lipsync_eval.baselines.kit.data.shards import (
    MANIFEST,
    Failure,
    Manifest,
    Segment,
    Shard,
    ShardError,
    check_shards,
    load_manifest,
    save_manifest,
    write_shard,
)
from lipsync_eval.baselines.kit.progress import Say, silent
from lipsync_eval.errors import ClipError, OutputError
from lipsync_eval.files import sha256
from lipsync_eval.types import FPS

SHARD_BYTES = 128 << 20
GROUP_BYTES = 32 << 20
"""Small videos are grouped up to this many bytes of video file."""


@dataclass
class Group:
    """Videos that one process prepares."""

    number: int
    sources: list[layouts.Source]


@dataclass
class Done:
    """What became of a group."""

    shards: list[Shard]
    sources: dict[str, str]
    failures: list[Failure]


def prepare(
    videos: Path,
    out: Path,
    options: Options,
    *,
    workers: int = 1,
    say: Say = silent,
) -> Manifest:
    """Prepare every video that `out` does not hold yet.

    Args:
        videos: folder of videos, or one video.
        out: folder of shards and manifest; made, or continued when it was made with the same options.
        options: see Options.
        workers: processes; the result is the same for any number.
        say: gets one line per finished group.

    Returns:
        the manifest, with failures by video. Videos that failed before are tried again.

    Raises:
        UsageError: no video, or an unknown layout.
        OutputError: `out` cannot be written or was made with other options.
    """
    layout, sources = layouts.find(videos, options.layout)
    manifest = _open(out, {**options.preprocessing(), "layout": layout})
    todo = [s for s in sources if s.name not in manifest.sources]
    say(f"{len(sources)} videos ({layout} layout), {len(sources) - len(todo)} of them done before")
    groups = _groups(todo, first=_next_number(manifest))
    manifest.failures = []
    finished = 0
    for group, done in _run(groups, out, options, workers):
        manifest.shards += done.shards
        manifest.sources |= done.sources
        manifest.failures += done.failures
        save_manifest(out, manifest)
        finished += len(group.sources)
        frames = sum(entry.frames for shard in done.shards for entry in shard.entries)
        say(f"{finished}/{len(todo)} videos, {frames} frames, {len(manifest.failures)} failed so far")
    manifest.shards.sort(key=lambda shard: shard.file)
    save_manifest(out, manifest)
    return manifest


def _open(out: Path, preprocessing: dict[str, Any]) -> Manifest:
    """The manifest of a new or continued folder, without shards that are damaged and files that no manifest names."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}; give another") from error
    if not (out / MANIFEST).exists():
        if any(not p.name.startswith((".", "shard-")) for p in out.iterdir()):
            raise OutputError(f"{out} holds other files and no {MANIFEST}; give an empty folder")
        manifest = Manifest(preprocessing)
        save_manifest(out, manifest)
    else:
        manifest = load_manifest(out)
        keys = dict.fromkeys([*manifest.preprocessing, *preprocessing])
        other = {
            k: manifest.preprocessing.get(k) for k in keys if manifest.preprocessing.get(k) != preprocessing.get(k)
        }
        if other:
            raise OutputError(
                f"{out} was prepared with {other}, not { ({k: preprocessing.get(k) for k in other}) }; give another folder"
            )
    _drop_damaged(out, manifest)
    known = {shard.file for shard in manifest.shards}
    for path in out.glob("shard-*.safetensors"):
        if path.name not in known:  # of a group that was killed
            path.unlink()
    return manifest


def _drop_damaged(out: Path, manifest: Manifest) -> None:
    """Forget shards that are missing or changed, with every source that has an entry in one."""
    good, redo = [], set()
    for shard in manifest.shards:
        try:
            check_shards(out, replace(manifest, shards=[shard]))
            good.append(shard)
        except ShardError:
            redo |= {entry.source for entry in shard.entries}
    manifest.sources = {name: digest for name, digest in manifest.sources.items() if name not in redo}
    kept = []
    for shard in good:  # entries of a source that is made again, in a shard that is whole
        if {entry.source for entry in shard.entries} & redo:
            redo |= {entry.source for entry in shard.entries}
            continue
        kept.append(shard)
    manifest.shards = kept
    manifest.sources = {name: digest for name, digest in manifest.sources.items() if name not in redo}


def _next_number(manifest: Manifest) -> int:
    return 1 + max((int(shard.file.split("-")[1]) for shard in manifest.shards), default=-1)


def _groups(sources: Sequence[layouts.Source], first: int) -> list[Group]:
    groups: list[Group] = []
    room = 0
    for source in sources:
        size = source.path.stat().st_size
        if size > room or not groups:
            groups.append(Group(first + len(groups), []))
            room = GROUP_BYTES
        groups[-1].sources.append(source)
        room -= size
    return groups


def _run(groups: list[Group], out: Path, options: Options, workers: int) -> Iterator[tuple[Group, Done]]:
    if workers <= 1 or len(groups) <= 1:
        for group in groups:
            yield group, prepare_group(group, out, options)
        return
    with ProcessPoolExecutor(workers) as pool:
        futures = [pool.submit(prepare_group, group, out, options) for group in groups]
        for group, future in zip(groups, futures, strict=True):
            yield group, future.result()


def prepare_group(group: Group, out: Path, options: Options) -> Done:
    """Prepare the videos of one group into its own shards."""
    done = Done([], {}, [])
    waiting: list[Segment] = []

    def flush(count: int) -> None:
        """Write the first `count` waiting entries as a shard."""
        if count:
            name = f"shard-{group.number:06d}-{len(done.shards):04d}.safetensors"
            done.shards.append(write_shard(out / name, waiting[:count]))
            del waiting[:count]

    for source in group.sources:
        mark, written = len(waiting), len(done.shards)
        try:
            for segment in segments(source, options):
                waiting.append(segment)
                if sum(s.bytes for s in waiting) > SHARD_BYTES:
                    if mark:  # finished videos first: the shards of this one can then be dropped alone
                        flush(mark)
                        mark, written = 0, len(done.shards)
                    else:
                        flush(len(waiting))
            done.sources[source.name] = sha256(source.path)
        except ClipError as error:
            del waiting[mark:]
            for shard in done.shards[written:]:
                (out / shard.file).unlink()
            del done.shards[written:]
            done.failures.append(Failure(source.name, type(error).__name__, str(error)))
    flush(len(waiting))
    return done


def summary(manifest: Manifest) -> dict[str, Any]:
    """Numbers for the command line: videos, entries, frames, minutes, groups, shards, failures."""
    entries = [entry for _, _, entry in manifest.entries()]
    frames = sum(entry.frames for entry in entries)
    return {
        "videos": len(manifest.sources),
        "entries": len(entries),
        "frames": frames,
        "minutes": round(frames / FPS / 60, 2),
        "groups": len({entry.group for entry in entries}),
        "shards": len(manifest.shards),
        "megabytes": round(sum(shard.bytes for shard in manifest.shards) / 1e6, 1),
        "failures": [asdict(failure) for failure in manifest.failures],
    }

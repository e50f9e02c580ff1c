"""Who is compared with whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lipsync_eval.errors import PairingError
from lipsync_eval.media.names import VIDEO_SUFFIXES, audio_files_of, is_utf8, key
from lipsync_eval.media.pairs import PairPaths as PairPaths
from lipsync_eval.media.table import read_pairs
from lipsync_eval.media.tree import Tree, find_clips, is_image_folder, seen


@dataclass(frozen=True, slots=True)
class Pairing:
    """All pairs, sorted by id."""

    pairs: tuple[PairPaths, ...]

    @property
    def unmatched(self) -> str:
        """One message that lists every name without a partner; empty when there is none."""
        parts = []
        for side, other in (("gen", "gt"), ("gt", "gen")):
            names = [pair.id for pair in self.pairs if getattr(pair, other) is None]
            if names:
                what = (
                    "generated video(s) without a real one"
                    if side == "gen"
                    else "real video(s) without a generated one"
                )
                parts.append(f"{len(names)} {what}: {listed(names)}")
        return "; ".join(parts)


def find_pairs(gen: Path, gt: Path | None, *, pairs_csv: Path | None = None) -> Pairing:
    """Match generated with real videos: by name below two folders, two single files, or by a table.

    Two folders: the id is the path below the folder without its suffix, so a.mp4 matches a.avi and a folder a/ of images.
    Two files (or folders of images): one pair, called by the stem of `gen`.

    Args:
        gen: folder or file of the generated videos.
        gt: folder or file of the real videos; None: there are none, and every pair has `gt` None.
        pairs_csv: a CSV file with the columns gen,gt[,audio,id,speaker] (see `lipsync_eval.media.table`).

    Raises:
        PairingError: a missing or empty folder, no pair, doubled names, two audio files for one video, names
            that are not UTF-8: all are listed.
    """
    gen = Path(gen)
    if gt is None:
        return _alone(gen, pairs_csv)
    gt = Path(gt)
    for path, side in ((gen, "GEN"), (gt, "GT")):
        if not path.exists():
            raise PairingError(f"{side} {str(path)!r} does not exist; give a folder of videos, or one video")
    _check_names([gen, gt])
    if pairs_csv is not None:
        return _complete(read_pairs(Path(pairs_csv), gen, gt))
    if _is_clip(gen) and _is_clip(gt):
        name = key(gen.resolve().name if gen.is_dir() else gen.stem)
        return _complete([PairPaths(name, gen, gt, None)])
    if not (gen.is_dir() and gt.is_dir()):
        raise PairingError(
            f"GEN {str(gen)!r} is a {_kind(gen)} and GT {str(gt)!r} a {_kind(gt)}; give two folders, or two files"
        )
    return _by_name(find_clips(gen), find_clips(gt))


def _alone(gen: Path, pairs_csv: Path | None) -> Pairing:
    """Generated videos without real ones."""
    if not gen.exists():
        raise PairingError(f"GEN {str(gen)!r} does not exist; give a folder of videos, or one video")
    _check_names([gen])
    if pairs_csv is not None:
        return _complete(read_pairs(Path(pairs_csv), gen, None))
    if _is_clip(gen):
        return _complete([PairPaths(key(gen.resolve().name if gen.is_dir() else gen.stem), gen, None, None)])
    tree = find_clips(gen)
    _check_trees((tree, "GEN"))
    return _complete([PairPaths(name, paths[0], None, None) for name, paths in sorted(tree.clips.items())])


def listed(names: list[str]) -> str:
    """Names for a message, quoted so that spaces and newlines show."""
    return ", ".join(repr(name) for name in names)


def _is_clip(path: Path) -> bool:
    return not path.is_dir() or is_image_folder(path)


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else "file"


def _check_trees(*trees: tuple[Tree, str]) -> None:
    """Raise PairingError for folders without videos, and for doubled names."""
    problems = []
    for tree, side in trees:
        if not tree.clips:
            problems.append(
                f"{side} {str(tree.root)!r} holds no video (found: {seen(tree)}); known are {' '.join(sorted(VIDEO_SUFFIXES))} "
                "and folders of numbered images"
            )
    doubled = False
    for tree, side in trees:
        for name, paths in sorted(tree.doubled.items()):
            problems.append(f"{side} has {len(paths)} videos called {name!r}: {listed([str(p) for p in paths])}")
            doubled = True
    if problems:
        raise PairingError(
            "; ".join(problems)
            + ("; keep one of each name, or say who belongs to whom with --pairs" if doubled else "")
        )


def _by_name(gen: Tree, gt: Tree) -> Pairing:
    _check_trees((gen, "GEN"), (gt, "GT"))
    names = sorted(gen.clips.keys() | gt.clips.keys())
    pairs = [PairPaths(n, gen.clips.get(n, [None])[0], gt.clips.get(n, [None])[0], None) for n in names]
    if not gen.clips.keys() & gt.clips.keys():
        raise PairingError(
            f"no generated video has the name of a real one: {Pairing(tuple(pairs)).unmatched}; "
            "rename them, or say who belongs to whom with --pairs"
        )
    return _complete(pairs)


def _complete(pairs: list[PairPaths]) -> Pairing:
    """Add the audio files that lie beside the videos; sort."""
    problems: list[str] = []
    done = [
        replace(p, audio=p.audio or _audio(p.gen, problems), gt_audio=p.gt_audio or _audio(p.gt, problems))
        for p in sorted(pairs, key=lambda pair: pair.id)
    ]
    if problems:
        raise PairingError(
            "; ".join(problems) + "; keep one audio file a video, or name it in the audio column of --pairs"
        )
    _check_names([path for pair in done for path in (pair.gen, pair.gt, pair.audio, pair.gt_audio)])
    return Pairing(tuple(done))


def _check_names(paths: list[Path | None]) -> None:
    """Refuse names that no results file could hold, before any work is done.

    Raises:
        PairingError: bytes that are no UTF-8 in a path; all such paths are listed.
    """
    wrong = [str(path) for path in paths if path is not None and not is_utf8(path)]
    if wrong:
        raise PairingError(
            f"{len(wrong)} path(s) hold bytes that are not UTF-8, so that no results file could name them: {listed(wrong)}; rename "
            "them (convmv -f latin1 -t utf8 --notest FOLDER renames a whole folder)"
        )


def _audio(video: Path | None, problems: list[str]) -> Path | None:
    found = audio_files_of(video) if video is not None else []
    if len(found) > 1:
        problems.append(f"{str(video)!r} has {len(found)} audio files: {listed([str(p) for p in found])}")
    return found[0] if found else None

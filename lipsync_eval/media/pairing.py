"""Who is compared with whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lipsync_eval.errors import PairingError
from lipsync_eval.media.fetch import check_urls, told
from lipsync_eval.media.names import VIDEO_SUFFIXES, audio_files_of, is_utf8, is_video, key
from lipsync_eval.media.pairs import PairPaths as PairPaths
from lipsync_eval.media.table import read_pairs
from lipsync_eval.media.tree import Tree, find_clips, is_image_folder, seen
from lipsync_eval.media.url_tree import find_url_clips
from lipsync_eval.urls import Place, Url

AnyTree = Tree[Path] | Tree[Url]


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


def find_pairs(gen: Place, gt: Place | None, *, pairs_csv: Path | None = None, offline: bool = False) -> Pairing:
    """Match generated with real videos: by name below two folders, two single files, or by a table.

    Two folders: the id is the path below the folder without its suffix, so a.mp4 matches a.avi and a folder a/ of images.
    Two files (or folders of images): one pair, called by the stem of `gen`.

    Args:
        gen: folder or file of the generated videos, or its URL.
        gt: the same of the real videos; None: there are none, and every pair has `gt` None.
        pairs_csv: a CSV file with the columns gen,gt[,audio,id,speaker] (see `lipsync_eval.media.table`).
        offline: refuse URLs, since no socket may be opened.

    What the servers say of every file by URL is in the pairs (Url.size, Url.mark).

    Raises:
        UsageError: files by URL, and a package for them is missing or no server answers.
        PairingError: a missing or empty folder, no pair, doubled names, two audio files for one video, names
            that are not UTF-8: all are listed.
    """
    if offline:
        _refuse_urls([gen, gt])
    check_urls([gen, gt])
    for path, side in ((gen, "GEN"), (gt, "GT")):
        if isinstance(path, Path) and not path.exists():
            raise PairingError(f"{side} {str(path)!r} does not exist; give a folder of videos, or one video")
    _check_names([gen, gt])
    if pairs_csv is not None:
        pairs = read_pairs(Path(pairs_csv), gen, gt)
        if offline:
            _refuse_urls([place for pair in pairs for place in (pair.gen, pair.gt, pair.audio)])
        return _complete(pairs)
    if gt is None:
        return _alone(gen)
    if _is_clip(gen) and _is_clip(gt):
        return _complete([PairPaths(_name(gen), gen, gt, None)], alone=True)
    if "file" in (_kind(gen), _kind(gt)):
        raise PairingError(
            f"GEN {str(gen)!r} is a {_kind(gen)} and GT {str(gt)!r} a {_kind(gt)}; give two folders, or two files"
        )
    return _by_name(_clips_in(gen), _clips_in(gt))


def _refuse_urls(places: Sequence[Place | None]) -> None:
    urls = [place for place in places if isinstance(place, Url)]
    if urls:
        raise PairingError(
            f"{urls[0]} is a URL ({len(urls)} in all), and --offline opens no socket; leave one of them out"
        )


def _alone(gen: Place) -> Pairing:
    """Generated videos without real ones."""
    if _is_clip(gen):
        return _complete([PairPaths(_name(gen), gen, None, None)], alone=True)
    tree = _clips_in(gen)
    _check_trees((tree, "GEN"))
    pairs = [PairPaths(name, _first(tree, name), None, None) for name in sorted(tree.clips)]
    return _complete(pairs, {"audio": tree})


def listed(names: list[str]) -> str:
    """Names for a message, quoted so that spaces and newlines show."""
    return ", ".join(repr(name) for name in names)


def _is_clip(path: Place) -> bool:
    if isinstance(path, Url):
        return is_video(path)
    return not path.is_dir() or is_image_folder(path)


def _kind(path: Place) -> str:
    folder = not is_video(path) if isinstance(path, Url) else path.is_dir()
    return "folder" if folder else "file"


def _name(clip: Place) -> str:
    return key(clip.resolve().name if isinstance(clip, Path) and clip.is_dir() else clip.stem)


def _clips_in(folder: Place) -> AnyTree:
    return find_url_clips(folder) if isinstance(folder, Url) else find_clips(folder)


def _check_trees(*trees: tuple[AnyTree, str]) -> None:
    """Raise PairingError for folders without videos, and for doubled names."""
    problems = []
    for tree, side in trees:
        if not tree.clips:
            problems.append(
                f"{side} {str(tree.root)!r} holds no video (found: {seen(tree)}); known are {' '.join(sorted(VIDEO_SUFFIXES))} "
                f"{'' if isinstance(tree.root, Url) else 'and folders of numbered images'}"
            )
    doubled = False
    for tree, side in trees:
        for name in sorted(tree.doubled):
            paths = [str(path) for path in tree.clips[name]]
            problems.append(f"{side} has {len(paths)} videos called {name!r}: {listed(paths)}")
            doubled = True
    if problems:
        raise PairingError(
            "; ".join(problems)
            + ("; keep one of each name, or say who belongs to whom with --pairs" if doubled else "")
        )


def _by_name(gen: AnyTree, gt: AnyTree) -> Pairing:
    _check_trees((gen, "GEN"), (gt, "GT"))
    names = sorted(gen.clips.keys() | gt.clips.keys())
    pairs = [PairPaths(n, _first(gen, n), _first(gt, n), None) for n in names]
    if not gen.clips.keys() & gt.clips.keys():
        raise PairingError(
            f"no generated video has the name of a real one: {Pairing(tuple(pairs)).unmatched}; "
            "rename them, or say who belongs to whom with --pairs"
        )
    return _complete(pairs, {"audio": gen, "gt_audio": gt})


def _first(tree: AnyTree, name: str) -> Place | None:
    paths = tree.clips.get(name)
    return paths[0] if paths else None


def _complete(pairs: list[PairPaths], trees: Mapping[str, AnyTree] | None = None, *, alone: bool = False) -> Pairing:
    """Add the audio files that lie beside the videos (by URL: those of a folder that was listed), and what servers say; sort.

    Args:
        pairs: in any order.
        trees: where the videos of both sides were found.
        alone: one pair was named by its files; one that is not there is no failure row.
    """
    problems: list[str] = []

    def beside(pair: PairPaths, side: str, video: Place | None) -> Place | None:
        if isinstance(video, Path):
            return _audio(video, audio_files_of(video), problems)
        tree = (trees or {}).get(side)
        return _audio(video, tree.audio.get(pair.id, []) if tree else [], problems)

    done = [
        replace(p, audio=p.audio or beside(p, "audio", p.gen), gt_audio=p.gt_audio or beside(p, "gt_audio", p.gt))
        for p in sorted(pairs, key=lambda pair: pair.id)
    ]
    done = _with_facts(done, alone)
    if problems:
        raise PairingError(
            "; ".join(problems) + "; keep one audio file a video, or name it in the audio column of --pairs"
        )
    _check_names([path for pair in done for path in (pair.gen, pair.gt, pair.audio, pair.gt_audio)])
    return Pairing(tuple(done))


def _with_facts(pairs: list[PairPaths], alone: bool) -> list[PairPaths]:
    """The pairs with what servers say of their files; of those in a listed folder that is known."""
    sides = ("gen", "gt", "audio", "gt_audio")
    asked = [u for p in pairs for side in sides if isinstance(u := getattr(p, side), Url) and u.size is None]
    facts = told(asked)
    gone = [str(url) for url, found in facts.items() if found is None]
    if gone and (alone or len(gone) == len(facts)):
        raise PairingError(
            f"{', '.join(gone[:3])}: no such file, or it may not be read; look at the address and the credentials"
        )
    known = {url: found for url, found in facts.items() if found is not None}

    def informed(place: Place | None) -> Place | None:
        return known.get(place, place) if isinstance(place, Url) else place

    return [
        replace(p, gen=informed(p.gen), gt=informed(p.gt), audio=informed(p.audio), gt_audio=informed(p.gt_audio))
        for p in pairs
    ]


def _check_names(paths: Sequence[Place | None]) -> None:
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


def _audio(video: Place | None, found: Sequence[Place], problems: list[str]) -> Place | None:
    if len(found) > 1:
        problems.append(f"{str(video)!r} has {len(found)} audio files: {listed([str(p) for p in found])}")
    return found[0] if found else None

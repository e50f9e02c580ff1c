"""mouth_mel_*: fit the constants that are shipped, and measure the metric on people that it has not seen.

    OMP_NUM_THREADS=1 python benchmarks/mouth_mel.py fit CLIPS OUT.json        e.g. lipsync_eval/features/mouth_mel/constants.json
    OMP_NUM_THREADS=1 python benchmarks/mouth_mel.py evaluate CLIPS [--csv FILE]

CLIPS holds the videos that mouth_mel_clips.csv names, with the shift at which each one's audio belongs to its frames.

`fit` learns the map on all of them, and the limit of `certainty`: 95 of 100 windows with the audio of another person
stay below it, where the person whose mouth is seen was left out of the map.

`evaluate` leaves one person out at a time: mean face, map and limit are made from the others alone. The audio of the
person left out is moved by -10..10 frames, and windows of 2, 3, 5 and 10 s (every second) are cut from frames and
audio. Right: the offset found is within one frame of the true one. Beside it mouth_audio_offset on the same windows, and the
share of windows with foreign audio that are refused. docs/metrics/mouth_mel.md says what was chosen by looking at such
numbers (the form of `certainty`) and what was not (map, limit).
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from lipsync_eval.cache import Cache
from lipsync_eval.errors import MetricError
from lipsync_eval.faces import track_faces
from lipsync_eval.features import mouth_mel as mm
from lipsync_eval.media import open_clip
from lipsync_eval.metrics import mouth_audio as old
from lipsync_eval.types import FPS, RATE

SECONDS = (2, 3, 5, 10)
SHIFTS = range(-10, 11)
LEVEL = 0.95
STEP = RATE // FPS


def samples(clips, cache):
    """person -> (points, audio, offset, whether the offset is known)."""
    found = {}
    with Path(__file__).with_name("mouth_mel_clips.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            clip = open_clip(clips / row["video"], audio=clips / row["audio"] if row["audio"] else None)
            track = track_faces(clip, landmarks="dlib68", detector=None, face="largest", cache=Cache(cache))
            known = row["source of the offset"].startswith("known")
            found[row["person"]] = track.points, clip.audio.int16(), int(row["offset"]), known
            print(f"{row['person']}: {clip.n_frames} frames", flush=True)
    return found


def part(points, audio, start, frames, late=0):
    """Frames start.. and the audio that is heard with them when it is moved later by `late` frames."""
    begin = (start - late) * STEP
    return points[start : start + frames], audio[begin : begin + frames * STEP]


def starts(points, audio, frames, late=0):
    """Where windows begin, one a second, such that there is audio under all of their frames."""
    last = min(len(points), len(audio) // STEP + late) - frames
    return range(max(0, late), last + 1, FPS)


def measure(constants, points, audio):
    """Offset and certainty of one window; (None, 0) where the metric fails."""
    try:
        mouth, mel, seen = mm.prepared(
            mm.mouth_series(points, constants.mean_face), mm.mel_series(audio, len(points)), constants.spread
        )
        predicted = constants.predict(mouth)
        curve = mm.agreement(predicted, mel, seen)
    except MetricError:
        return None, 0.0
    if not np.isfinite(curve).any():
        return None, 0.0
    return int(np.nanargmax(curve)) - mm.SHIFT, mm.certainty(predicted, mel, seen, curve)


def accepted(offset, sure, limit):
    """Whether the metric would give this offset."""
    return offset is not None and abs(offset) < mm.SHIFT and sure >= limit


def measure_old(points, audio):
    """mouth_audio_offset of one window; None where it fails."""
    try:
        curve = old.correlations(old.opening(points), old.speech_level(audio, len(points)))
        return int(np.nanargmax(curve)) - old.SHIFT
    except (MetricError, ValueError):
        return None


def foreign(data, persons, without=()):
    """seconds -> certainties of windows with another person's audio; the map never saw the person whose mouth it is."""
    found = {seconds: [] for seconds in SECONDS}
    for person in persons:
        constants = mm.fit([data[p][:3] for p in data if p != person and p not in without])
        for other in persons:
            if other == person:
                continue
            for seconds in SECONDS:
                n = seconds * FPS
                mine, theirs = starts(*data[person][:2], n), starts(*data[other][:2], n)
                for a, b in list(zip(mine, reversed(theirs), strict=False))[:4]:
                    points, audio = part(data[person][0], data[person][1], a, n)[0], part(*data[other][:2], b, n)[1]
                    offset, sure = measure(constants, points, audio)
                    found[seconds].append(sure if offset is not None and abs(offset) < mm.SHIFT else -np.inf)
    return found


def limit_of(found):
    """The certainty below which 95 % of foreign windows stay; the lengths weigh the same."""
    return float(np.mean([np.quantile(v, LEVEL) for v in found.values() if len(v) >= 40]))


def run_fit(clips, out, cache):
    """Write the constants."""
    data = samples(clips, cache)
    limit = limit_of(foreign(data, list(data)))
    frames = sum(len(d[0]) for d in data.values())
    text = (
        "public example clips of SyncNet_FCN, LipNet (GRID), video-retalking, SadTalker (HDTF), EDTalk, HyperLips and "
        f"lipsync-assignment; camera video only: {len(data)} speakers, {frames} frames at 25 fps, landmarks dlib68"
    )
    mm.write(replace(mm.fit([d[:3] for d in data.values()]), limit=limit, provenance=text), out)
    print(f"limit {limit:.2f}; written to {out}")


def windows(data):
    """One row a window: person, seconds, shift, known, error and verdict of both metrics, and foreign certainties."""
    rows, strange = [], []
    for person, (points, audio, offset, known) in data.items():
        others = [p for p in data if p != person]
        constants = mm.fit([data[p][:3] for p in others])
        limit = limit_of(foreign(data, others, without=(person,)))
        for seconds in SECONDS:
            n = seconds * FPS
            for late in SHIFTS:
                for start in starts(points, audio, n, late):
                    frames, heard = part(points, audio, start, n, late)
                    found, sure = measure(constants, frames, heard)
                    before = measure_old(frames, heard)
                    truth = offset - late
                    rows.append(
                        {
                            "person": person, "seconds": seconds, "late": late, "start": start, "known": int(known),
                            "true": truth, "mel": found, "certainty": round(sure, 4), "limit": round(limit, 4),
                            "given": int(accepted(found, sure, limit)), "audio": before,
                        }
                    )  # fmt: skip
            for other in others:
                mine, theirs = starts(points, audio, n), starts(*data[other][:2], n)
                for a, b in list(zip(mine, reversed(theirs), strict=False))[:4]:
                    found, sure = measure(constants, part(points, audio, a, n)[0], part(*data[other][:2], b, n)[1])
                    strange.append((person, seconds, accepted(found, sure, limit)))
        print(f"{person}: limit {limit:.2f}", flush=True)
    return rows, strange


def share(hits):
    """'0.93' or '-'."""
    return f"{np.mean(hits):.3f}" if len(hits) else "-"


def near(row, key):
    return row[key] is not None and abs(row[key] - row["true"]) <= 1


def table(rows, strange, title, by_person=False):
    """Print the numbers; every window counts the same, or every person."""
    print(f"\n{title}\n")
    print(
        "| s | windows | people | mouth_audio right | mel right, none refused | mel refused | mel right of given | foreign refused |"
    )
    print("|---|---|---|---|---|---|---|---|")

    def mean(values, people):
        if not by_person:
            return share(values)
        groups = {}
        for value, person in zip(values, people, strict=True):
            groups.setdefault(person, []).append(value)
        return share([np.mean(v) for v in groups.values()])

    for seconds in SECONDS:
        some = [r for r in rows if r["seconds"] == seconds]
        if not some:
            continue
        given = [r for r in some if r["given"]]
        people = [r["person"] for r in some]
        print(
            f"| {seconds} | {len(some)} | {len(set(people))} | {mean([near(r, 'audio') for r in some], people)} "
            f"| {mean([near(r, 'mel') for r in some], people)} | {mean([not r['given'] for r in some], people)} "
            f"| {mean([near(r, 'mel') for r in given], [r['person'] for r in given])} "
            f"| {share([not a for _, s, a in strange if s == seconds])} |"
        )


def run_evaluate(clips, out, cache):
    """Print the tables."""
    data = samples(clips, cache)
    rows, strange = windows(data)
    table(rows, strange, "All windows")
    table(rows, strange, "Every person weighs the same", by_person=True)
    table([r for r in rows if r["known"]], strange, "People whose offset is known (GRID, newsreader)")
    print("\nBy person at 5 s: right of given / refused / right with none refused / mouth_audio right")
    for person in data:
        some = [r for r in rows if r["person"] == person and r["seconds"] == 5]
        given = [r for r in some if r["given"]]
        if some:
            print(f"{person}: {share([near(r, 'mel') for r in given])} / {share([not r['given'] for r in some])} / "
                  f"{share([near(r, 'mel') for r in some])} / {share([near(r, 'audio') for r in some])}")  # fmt: skip
    if out:
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fit", "evaluate"))
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    if args.what == "fit":
        run_fit(args.clips, args.out or parser.error("fit needs OUT.json"), args.cache)
    else:
        run_evaluate(args.clips, args.csv, args.cache)


if __name__ == "__main__":
    main()

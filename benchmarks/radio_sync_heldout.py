"""RADIO's sync discriminator on people it has not seen: train without some clips, tell own audio from shifted audio on them.

    OMP_NUM_THREADS=1 python benchmarks/radio_sync_heldout.py prepare CLIPS WORK [--native]
    OMP_NUM_THREADS=1 python benchmarks/radio_sync_heldout.py offsets WORK
    OMP_NUM_THREADS=1 python benchmarks/radio_sync_heldout.py train WORK [--folds 1,2,3] [--set sync_train.steps=2500 ...] [--resume]
    OMP_NUM_THREADS=1 python benchmarks/radio_sync_heldout.py score WORK [--folds 1,2,3]

radio_sync_clips.csv names the clips, the frames by which each one's audio is moved later before use (its native offset,
see docs/radio-measured.md), the person, and the fold in which a real clip is held out. Clips without a fold are dubbed: training
only, and never while a clip of the same person is held out. Settings were chosen on fold `chosen`.

`offsets`, for data made with --native (no audio moved but the one that SyncNet's authors document): a ridge regression
from the mouth's shape in five frames to the mel over them, fitted on the clips known to be in sync (`known` in the
table), and for every other clip the delay of the audio at which it agrees best, with its spread over a bootstrap of
seconds. No part of any trained network.

`score` compares, for every window of five frames, its own audio with every audio of the same clip that begins five
frames away or more. Accuracy: at cosine 0, own and shifted audio weighing the same. Ranked: share of the comparisons
in which the own audio has the higher cosine. One second: the same for the mean over 25 windows in a row, against the
audio shifted by 5 to 15 frames. Offset: the shift within 15 frames at which the mean cosine is highest (0: in sync).
Beside them the same numbers for a rule without learning: the Pearson correlation, over the window's five frames, of
the mouth's opening and the mean of the mel, at 0. Means weigh every clip the same; their interval is a bootstrap over clips.
"""

from __future__ import annotations

import argparse
import csv
import json
import wave
from pathlib import Path

import numpy as np
import torch

from lipsync_eval.baselines.kit.data.holdout import Span
from lipsync_eval.baselines.kit.data.preparation import prepare
from lipsync_eval.baselines.kit.data.windows import Windows
from lipsync_eval.baselines.kit.sync.mouth_shape import mouth_shape
from lipsync_eval.baselines.kit.sync.pairs import cosine_table
from lipsync_eval.baselines.kit.training.checkpoints import checkpoints, open_checkpoint
from lipsync_eval.baselines.kit.training.processes import ranks
from lipsync_eval.baselines.radio import presets
from lipsync_eval.baselines.radio.config import SYNC
from lipsync_eval.baselines.radio.data.inputs import open_pool, options
from lipsync_eval.baselines.radio.network.sync_discriminator import SyncDiscriminator
from lipsync_eval.baselines.radio.training.sync import run_sync_training
from lipsync_eval.media import open_clip
from lipsync_eval.types import FPS, RATE

T = 5
NEAREST, FURTHEST, SECOND = 5, 15, 25
SETTINGS = (
    "sync.size=48",
    "sync.width=8",
    "sync.dim=64",
    "data.verify=size",
    "sync_train.batch=32",
    "sync_train.lr=1.5e-3",
    "sync_train.ema=0.99",
    "sync_train.sync_from=800",
    "sync_train.visual_gradient=0.0",
    "sync_train.steps=1800",
    "sync_train.validate_every=1800",
    "sync_train.save_every=1800",
)


def table():
    """Rows of radio_sync_clips.csv."""
    with Path(__file__).with_name("radio_sync_clips.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def make(clips, work, native):
    """WORK/clips: links to the videos and, where the audio is a file of its own or is moved, an audio file; WORK/data."""
    folder = work / "clips"
    folder.mkdir(parents=True)
    for row in table():
        video = clips / row["video"]
        (folder / f"{row['clip']}{video.suffix}").symlink_to(video.resolve())
        later = int(row["later"]) if row["known"] or not native else 0
        if row["audio"] or later:
            audio = open_clip(video, audio=clips / row["audio"] if row["audio"] else None).audio.int16()
            step = later * RATE // FPS
            audio = np.pad(audio, (step, 0)) if step > 0 else audio[-step:]
            with wave.open(str(folder / f"{row['clip']}.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes(audio.astype("<i2").tobytes())
    prepare(folder, work / "data", options(size=96), say=print)


def shape_and_sound(windows, span):
    """(n, 25) mouth shapes and (n, 80) mels (16 bands, 5 moments) of all windows, standardised over the clip."""
    mel = windows.reader.array(span.shard, f"{span.number}/mel")
    shape = mouth_shape(windows.reader.array(span.shard, f"{span.number}/landmarks"))
    x = np.lib.stride_tricks.sliding_window_view(shape, T, axis=0).reshape(span.windows, -1)
    y = np.stack([mel[4 * i : 4 * i + 4 * T] for i in range(T // 2, T // 2 + span.windows)])
    y = y.reshape(span.windows, T, 4, 16, 5).mean((2, 4)).reshape(span.windows, -1)
    return tuple((z - z.mean(0)) / (z.std(0) + 1e-3) for z in (x, y))


def offsets(work, penalty=30.0):
    """Print by how many frames each clip's audio is late, as the mouths and audio of the known clips say."""
    config = presets.load(preset="radio-96", overrides=[f'data.folder="{work / "data"}"', "data.holdout=tail:0.5"])
    pool = open_pool(config)
    windows = Windows(pool)
    known = {row["clip"] for row in table() if row["known"]}
    spans = {s.entry.source.rpartition(".")[0]: Span(s.shard, s.number, s.entry, 0, s.entry.frames) for s in pool.train}
    data = {name: shape_and_sound(windows, span) for name, span in spans.items()}
    x, y = (np.concatenate([data[name][k] for name in sorted(known)]) for k in (0, 1))
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
    lags = np.arange(-FURTHEST, FURTHEST + 1)
    rng = np.random.default_rng(0)
    print("| clip | audio late by, frames | within 1 of it in the bootstrap |")
    print("|---|---|---|")
    for name in sorted(data.keys() - known):
        guess, heard = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (data[name][0] @ weights, data[name][1]))
        c = guess @ heard.T
        starts = range(0, len(c), SECOND)
        curves = np.zeros((len(starts), len(lags)))
        for row, first in enumerate(starts):
            for column, lag in enumerate(lags):
                pairs = [c[i, i + lag] for i in range(first, min(first + SECOND, len(c))) if 0 <= i + lag < len(c)]
                curves[row, column] = np.mean(pairs) if pairs else 0.0
        best = lags[np.argmax([c.diagonal(lag).mean() for lag in lags])]
        drawn = curves[rng.integers(len(starts), size=(2000, len(starts)))].mean(1).argmax(1) - FURTHEST
        print(f"| {name} | {best} | {(np.abs(drawn - best) <= 1).mean():.2f} |")


def configured(work, fold, overrides=()):
    """The configuration of a fold: its clips, and dubbed ones of the same people, held out."""
    people = {row["person"] for row in table() if row["fold"] == fold}
    held = ",".join(row["clip"] for row in table() if row["person"] in people)
    more = (f'data.folder="{work / "data"}"', f'data.holdout="ids:{held}"')
    return presets.load(preset="radio-96", overrides=[*SETTINGS, *overrides, *more])


@torch.no_grad()
def cosines(net, windows, span):
    """(n, n) cosines of every window's frames (rows) with every window's audio."""
    starts = range(span.start, span.stop - T + 1)
    seen, heard = [], []
    for at in range(0, len(starts), 32):
        part = starts[at : at + 32]
        seen.append(net.see(torch.stack([windows.tensor(span, range(i, i + T)) for i in part])))
        heard.append(net.hear(torch.stack([windows.audio(span, i + T // 2) for i in part])))
    return cosine_table(torch.cat(seen), torch.cat(heard)).numpy()


def correlations(windows, span):
    """(n, n) Pearson correlations of the mouth's opening with the mean of the mel under each frame."""
    mel = windows.reader.array(span.shard, f"{span.number}/mel").mean(1)
    level = mel[8 : 8 + 4 * span.stop].reshape(-1, 4).mean(1)
    points = windows.reader.array(span.shard, f"{span.number}/landmarks")
    opening = mouth_shape(points)[:, 0]

    def units(x):
        x = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), T)
        x = x - x.mean(1, keepdims=True)
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)

    return units(opening) @ units(level).T


def numbers(c):
    """Scores of one clip from (n, n) likenesses of frames (rows) and audio."""
    n = len(c)
    own = c.diagonal()
    far = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) >= NEAREST
    lags = np.arange(-FURTHEST, FURTHEST + 1)
    curve = [c.diagonal(k).mean() for k in lags]
    wins = []
    for k in lags[np.abs(lags) >= NEAREST]:
        first = range(max(0, -k), min(n, n - k) - SECOND + 1, NEAREST)
        wins += [own[s : s + SECOND].mean() > np.mean([c[i, i + k] for i in range(s, s + SECOND)]) for s in first]
    return {
        "windows": n,
        "accuracy": ((own > 0).mean() + (c[far] <= 0).mean()) / 2,
        "ranked": np.mean([(own[i] > c[i, far[i]]).mean() for i in range(n)]),
        "second": np.mean(wins),
        "offset": int(lags[np.argmax(curve)]),
    }


def score(work, folds):
    """Print one row per held-out clip, then means with intervals; write WORK/scores.json."""
    found = []
    for fold in folds:
        config = configured(work, fold)
        held = open_checkpoint(checkpoints(work / f"fold-{fold}")[-1], SYNC)
        net = SyncDiscriminator(held.config.sync)
        net.load_state_dict(held.tensors())
        net.eval()
        real = {row["clip"] for row in table() if row["fold"] == fold}
        pool = open_pool(config)
        windows = Windows(pool)
        for span in pool.held_out:
            name = span.entry.source.rpartition(".")[0]
            if name in real:
                ours, rule = numbers(cosines(net, windows, span)), numbers(correlations(windows, span))
                found.append({"clip": name, "fold": fold, "step": held.step, "sync": ours, "rule": rule})
    print(
        "| held-out clip | windows | accuracy | ranked | one second | offset | rule: accuracy | ranked | one second |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    keys = ("accuracy", "ranked", "second")
    for row in found:
        ours = " | ".join(f"{row['sync'][k]:.3f}" for k in keys)
        rule = " | ".join(f"{row['rule'][k]:.3f}" for k in keys)
        print(f"| {row['clip']} | {row['sync']['windows']} | {ours} | {row['sync']['offset']} | {rule} |")
    rng = np.random.default_rng(0)
    draws = rng.integers(len(found), size=(10_000, len(found)))
    print(f"\n{sum(row['sync']['windows'] for row in found)} windows of {len(found)} clips")
    for who in ("sync", "rule"):
        for key in keys:
            values = np.array([row[who][key] for row in found])
            low, high = np.percentile(values[draws].mean(1), (2.5, 97.5))
            print(f"{who:5} {key:9} {values.mean():.3f}  95 % over clips {low:.3f} to {high:.3f}")
    (work / "scores.json").write_text(json.dumps(found, indent=1, default=float) + "\n", encoding="utf-8")


def main():
    """One of the three steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    first = steps.add_parser("prepare")
    first.add_argument("clips", type=Path)
    first.add_argument("--native", action="store_true")
    for step in (first, steps.add_parser("offsets"), steps.add_parser("train"), steps.add_parser("score")):
        step.add_argument("work", type=Path)
        step.add_argument("--folds", default="1,2,3")
        step.add_argument("--set", action="append", default=[])
        step.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folds = args.folds.split(",")
    if args.step == "prepare":
        make(args.clips, args.work, args.native)
    elif args.step == "offsets":
        offsets(args.work)
    elif args.step == "train":
        for fold in folds:
            with ranks("cpu") as mine:
                run = args.work / f"fold-{fold}"
                run_sync_training(configured(args.work, fold, args.set), run, mine, resume=args.resume, say=print)
    else:
        score(args.work, folds)


if __name__ == "__main__":
    main()

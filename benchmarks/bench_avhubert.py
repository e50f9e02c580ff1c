"""AV-HuBERT on this machine: seconds per clip and where they go, long clips, and what windows would cost in exactness.

    python benchmarks/bench_avhubert.py speed [--size base|large] [--seconds 10] [--threads 2] [--device cpu] [--dtype float32]
    python benchmarks/bench_avhubert.py long  [--minutes 10] [--threads 2]
    python benchmarks/bench_avhubert.py windows CHECKPOINT [--frames 1500]
    python benchmarks/bench_avhubert.py bf16 CHECKPOINT VIDEO...

The official code (fairseq) does not import on a Python of this decade, so there is no peer in the same run: absolute numbers
and the share of matrix products are printed instead. Weights are random unless a checkpoint is named; time does not depend on them.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch

from lipsync_eval.device import pick
from lipsync_eval.features.avhubert import BASE, LARGE, AVHuBERT, Extractor, audio_input, load, mouth_roi
from lipsync_eval.metrics.avs import frame_cosine, frame_mean

PRODUCTS = (
    "addmm",
    "bmm",
    "matmul",
    "mm",
    "convolution",
    "conv",
    "linear",
    "scaled_dot_product",
    "attention",
    "mkldnn",
)


def _random(size, device, dtype):
    torch.manual_seed(0)
    model = AVHuBERT({"base": BASE, "large": LARGE}[size]).requires_grad_(False).to(pick(device))
    return Extractor(model, dtype)


def _inputs(frames):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (frames, 88, 88), np.uint8), rng.normal(size=(frames, 104)).astype(np.float32)


def _done(extractor):
    if extractor.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _timed(extractor, call, repeats=3):
    call()
    best = float("inf")
    for _ in range(repeats):
        start = _done(extractor)
        call()
        best = min(best, _done(extractor) - start)
    return best


def speed(args):
    """One clip: front end, one transformer pass, and a whole AVS measurement (2 front ends, 5 passes)."""
    extractor = _random(args.size, args.device, args.dtype)
    crops, audio = _inputs(round(args.seconds * 25))
    seen, heard = extractor.see(crops), extractor.hear(audio)
    see = _timed(extractor, lambda: extractor.see(crops))
    encode = _timed(extractor, lambda: extractor.encode(seen, heard))
    pair = 2 * see + 5 * encode
    spent = time.process_time()
    extractor.see(crops), extractor.encode(seen, heard)
    spent = time.process_time() - spent
    layers = extractor.model.config.layers
    print(
        f"{args.size} {args.dtype} on {extractor.device}, {torch.get_num_threads()} threads, clip of {args.seconds:g} s"
    )
    print(
        f"video front end {see:.3f} s ({len(crops) / see:.0f} frames/s); transformer {encode:.3f} s ({layers / encode:.0f} layers/s)"
    )
    print(
        f"AVS_u + AVS_m + AVS_v of a pair: {pair:.2f} s = {1 / pair:.2f} clips/s, {pair / args.seconds:.2f} x real time"
    )
    print(
        f"processor time of one front end and one pass: {spent:.2f} s (a busy machine shows in the wall time above, hardly here with 1 thread)"
    )
    if extractor.device.type == "cpu":
        print(f"share in matrix products and convolutions: front end {_share(lambda: extractor.see(crops)):.0%}, "
              f"transformer {_share(lambda: extractor.encode(seen, heard)):.0%}")  # fmt: skip


def _share(call):
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        call()
    rows = [(e.key.removeprefix("aten::").lstrip("_"), e.self_cpu_time_total) for e in profile.key_averages()]
    total = sum(t for _, t in rows)
    return sum(t for name, t in rows if name.startswith(PRODUCTS)) / total


def long(args):
    """One exact pass over a long clip: seconds and peak memory."""
    extractor = _random(args.size, args.device, args.dtype)
    frames = round(args.minutes * 60 * 25)
    before = _peak()
    crops, audio = _inputs(frames)
    start = time.perf_counter()
    seen = extractor.see(crops)
    middle = time.perf_counter()
    extractor.encode(seen, extractor.hear(audio))
    end = time.perf_counter()
    print(
        f"{frames} frames ({args.minutes:g} min), {args.size}: front end {middle - start:.0f} s, one pass {end - middle:.0f} s"
    )
    print(
        f"peak memory {_peak():.2f} GB, of which {before:.2f} GB before (torch and weights) and {crops.nbytes / 1e9:.2f} GB crops"
    )


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def windows(args):
    """What overlapping windows would change against the exact pass, for a real checkpoint's features and scores."""
    extractor = Extractor(load(args.checkpoint))
    rng = np.random.default_rng(0)
    shown, audio = (rng.normal(size=(1 + args.frames // 8, n)) for n in (64, 104))
    times = np.arange(args.frames) / 8
    audio = np.stack([np.interp(times, np.arange(len(audio)), c) for c in audio.T], 1).astype(np.float32)
    coarse = np.stack([np.interp(times, np.arange(len(shown)), c) for c in shown.T], 1).reshape(-1, 8, 8)
    crops = np.clip(128 + 50 * coarse.repeat(11, 1).repeat(11, 2), 0, 255).astype(np.uint8)
    seen, heard = extractor.see(crops), extractor.hear(audio)
    exact = extractor.encode(seen, None), extractor.encode(None, heard)
    score = frame_mean(*exact)
    print(f"{args.frames} frames, exact AVS_u {score:.6f}")
    for length, overlap in ((250, 64), (500, 128), (750, 250), (1000, 400)):
        if length < args.frames:
            parts = [_windowed(extractor, s, h, length, overlap) for s, h in ((seen, None), (None, heard))]
            worst = max(np.abs(p - e).max() for p, e in zip(parts, exact))
            moved = np.abs(frame_cosine(*parts) - frame_cosine(*exact)).max()
            print(f"windows of {length}, {overlap} overlap: features differ by up to {worst:.3f}, one frame's cosine by {moved:.4f}, "
                  f"AVS_u by {frame_mean(*parts) - score:+.5f}")  # fmt: skip


def _windowed(extractor, seen, heard, length, overlap):
    given = seen if seen is not None else heard
    frames, out = given.shape[2], []
    start = 0
    while True:
        stop = min(start + length, frames)
        part = extractor.encode(*(None if x is None else x[:, :, start:stop] for x in (seen, heard)))
        keep = (0 if start == 0 else overlap // 2), (len(part) if stop == frames else len(part) - overlap // 2)
        out.append(part[keep[0] : keep[1]])
        if stop == frames:
            return np.concatenate(out)
        start = stop - overlap


def bf16(args):
    """How far bfloat16 moves AVS_u of real videos with their own audio."""
    from lipsync_eval.faces import track_faces
    from lipsync_eval.media import open_clip

    model = load(args.checkpoint).to(pick(args.device))
    for path in args.videos:
        clip = open_clip(Path(path))
        crops = mouth_roi(clip.frames(), track_faces(clip).points)
        audio = audio_input(clip.audio.int16(), len(crops))
        scores = []
        for dtype in ("float32", "bfloat16"):
            extractor = Extractor(model, dtype)
            scores.append(
                frame_mean(extractor.encode(extractor.see(crops), None), extractor.encode(None, extractor.hear(audio)))
            )
        print(
            f"{Path(path).name}: AVS_u float32 {scores[0]:.5f}, bfloat16 {scores[1]:.5f}, moved by {scores[1] - scores[0]:+.5f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for function in (speed, long, windows, bf16):
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(run=function)
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--device", default="cpu")
        if function in (speed, long):
            command.add_argument("--size", choices=("base", "large"), default="base")
            command.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
        else:
            command.add_argument("checkpoint", type=Path)
        if function is speed:
            command.add_argument("--seconds", type=float, default=10)
        if function is long:
            command.add_argument("--minutes", type=float, default=10)
        if function is windows:
            command.add_argument("--frames", type=int, default=1500)
        if function is bf16:
            command.add_argument("videos", nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run(args)


if __name__ == "__main__":
    main()

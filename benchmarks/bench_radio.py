"""RADIO on this machine: speed of the networks, of dubbing, and memory of a long video.

    OMP_NUM_THREADS=1 python benchmarks/bench_radio.py networks [--device cpu] [--presets radio-48,radio-96,radio-192]
    OMP_NUM_THREADS=1 python benchmarks/bench_radio.py dub VIDEO [--preset radio-192 | --checkpoint RUN] [--device cpu]
    OMP_NUM_THREADS=1 python benchmarks/bench_radio.py memory VIDEO [--minutes 1,10]

`networks`: frames per second of the generator (one reference, batches) and of whole training steps, and our modulated
convolution against the usual form (weights scaled per sample, one grouped convolution) in the same run. `dub`: frames
per second after tracking, tracking, and CPU time per frame by stage (of the calling threads: it does not depend on
what else the machine does; on a GPU the network's is that of its launches). `memory`: the video looped to each length
and dubbed by a child process with an untrained radio-48; the child's peak resident memory. Weights are untrained where
no checkpoint is given: speed does not depend on them.
"""

import argparse
import functools
import json
import resource
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from lipsync_eval.baselines.kit.dubbing import dub as dub_module
from lipsync_eval.baselines.kit.dubbing.dub import dub
from lipsync_eval.baselines.kit.network.stylegan import ModulatedConv2d
from lipsync_eval.baselines.kit.training.checkpoints import Checkpoint
from lipsync_eval.baselines.radio import presets
from lipsync_eval.baselines.radio.config import GENERATOR
from lipsync_eval.baselines.radio.data.alignment import FFHQ
from lipsync_eval.baselines.radio.dubbing.generator import RadioGenerator, load_generator
from lipsync_eval.baselines.radio.network.generator import Radio
from lipsync_eval.cache import Cache
from lipsync_eval.media import open_clip, write_video, writer
from lipsync_eval.media.reader import Reader


def untrained(preset, device):
    config = presets.load(preset=preset)
    torch.manual_seed(0)
    model = Radio(config.model).eval().requires_grad_(False).to(device)
    return RadioGenerator(model, Checkpoint(Path(), GENERATOR, 0, config, {}, {}), torch.device(device))


def best(function, device, rounds=3):
    """Least seconds of some calls after one to warm up."""
    times = []
    for _ in range(rounds + 1):
        if device != "cpu":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        function()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def grouped(conv, x, style):
    """The same modulated convolution as one grouped convolution with a weight per sample."""
    batch, channels = x.shape[:2]
    scales = conv.modulation(style)
    weight = conv.scale * conv.weight * scales[:, None, :, None, None]
    weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
    weight = weight.reshape(-1, channels, conv.kernel, conv.kernel)
    return F.conv2d(x.reshape(1, -1, *x.shape[2:]), weight, padding=conv.kernel // 2, groups=batch).reshape(
        batch, -1, *x.shape[2:]
    )


def modulated(device):
    conv = ModulatedConv2d(64, 64, 3, 128).to(device)
    x, style = torch.randn(8, 64, 48, 48, device=device), torch.randn(8, 128, device=device)
    with torch.no_grad():
        difference = (conv(x, style) - grouped(conv, x, style)).abs().max().item()
        ours, theirs = best(lambda: conv(x, style), device, 8), best(lambda: grouped(conv, x, style), device, 8)
    print(
        f"modulated convolution 64x48x48, batch 8: {theirs / ours:.2f}x the grouped form's speed (differ by {difference:.1e})"
    )


def networks(args):
    print(f"{'preset':16} {'parameters':>12} {'batch 1/s':>10} {'batch 16/s':>10}")
    for preset in args.presets.split(","):
        generator = untrained(preset, args.device)
        size = generator.size
        known = generator.reference(np.zeros((size, size, 3), np.uint8))
        rates = []
        for batch in (1, 16):
            frames, mels = [np.zeros((size, size, 3), np.uint8)] * batch, [np.zeros((80, 20), np.float32)] * batch
            rates.append(batch / best(lambda p=frames, m=mels, k=known, g=generator: g(p, m, k), args.device, 2))
        count = sum(p.numel() for p in generator.model.parameters())
        print(f"{preset:16} {count:>12,} {rates[0]:>10.2f} {rates[1]:>10.2f}")
    modulated(args.device)


def spent(owner, name, times, stage):
    """Add the CPU time of every call of owner.name, in whatever thread, to times[stage]; generators step by step."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def timed(*args, **kwargs):
        begun = time.thread_time()
        made = real(*args, **kwargs)
        times[stage] = times.get(stage, 0.0) + time.thread_time() - begun
        return steps(made) if isinstance(made, types.GeneratorType) else made

    def steps(items):
        while True:
            begun = time.thread_time()
            item = next(items, None)
            times[stage] += time.thread_time() - begun
            if item is None:
                return
            yield item

    setattr(owner, name, timed)


def dubbing(args):
    times = {}
    for owner, name, stage in (
        (dub_module, "face_track", "tracking"),
        (Reader, "__call__", "decode"),
        (FFHQ, "crop", "align"),
        (RadioGenerator, "__call__", "network"),
        (dub_module, "paste", "paste"),
        (writer._Writer, "frame", "encode"),
    ):
        spent(owner, name, times, stage)
    generator = load_generator(args.checkpoint, args.device) if args.checkpoint else untrained(args.preset, args.device)
    with tempfile.TemporaryDirectory() as folder:
        cache, out = Cache(Path(folder) / "cache"), Path(folder) / "out.mp4"
        first = dub(args.video, args.video, out, generator, batch=args.batch, cache=cache)
        followed = times["tracking"]
        times.clear()
        begun = time.process_time()
        report = dub(args.video, args.video, out, generator, batch=args.batch, cache=cache)
        total = time.process_time() - begun
    tracking = report.frames / first.tracking_seconds
    print(f"{report.generator} on {args.device}: {report.frames} frames of {report.size[1]}x{report.size[0]}")
    print(
        f"dub {report.frames_per_second:.2f} frames/s, {100 * report.network_share:.0f} % in the network; tracking before it {tracking:.1f}/s"
    )
    times["rest"] = total - sum(times.values())
    stages = ", ".join(f"{stage} {1000 * seconds / report.frames:.1f}" for stage, seconds in times.items())
    print(
        f"CPU ms a frame: {stages}; all {1000 * total / report.frames:.1f}, "
        f"tracking before it {1000 * followed / report.frames:.1f}"
    )


def looped(video, minutes, path):
    """The video's first 4 s again and again; the audio is noise, of the full length."""
    clip = open_clip(video)
    frames = list(clip.frames(0, min(100, clip.n_frames)))
    count = round(minutes * 60 * 25)
    audio = (np.random.default_rng(0).standard_normal(count * 640) * 0.05).astype(np.float32)
    write_video(path, (frames[i % len(frames)] for i in range(count)), audio=audio, codec="h264", crf=23)
    return count


def memory(args):
    if args.child:
        report = dub(args.video, args.video, args.video.with_suffix(".out.mp4"), untrained("radio-48", "cpu"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            json.dumps({"frames": report.frames, "peak_mib": peak, "seconds": report.seconds + report.tracking_seconds})
        )
        return
    for minutes in (float(m) for m in args.minutes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "long.mp4"
            looped(args.video, minutes, path)
            done = subprocess.run(
                [sys.executable, __file__, "memory", str(path), "--child"], capture_output=True, text=True, check=True
            )
        found = json.loads(done.stdout)
        print(
            f"{minutes:g} minutes ({found['frames']} frames): peak {found['peak_mib']:.0f} MiB, {found['seconds']:.0f} s",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("networks", networks), ("dub", dubbing), ("memory", memory)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--device", default="cpu")
        if name == "networks":
            command.add_argument("--presets", default="radio-48,radio-96-a,radio-96-b,radio-96-c,radio-96-d,radio-192")
        else:
            command.add_argument("video", type=Path)
        if name == "dub":
            command.add_argument("--preset", default="radio-192")
            command.add_argument("--checkpoint", type=Path)
            command.add_argument("--batch", type=int)
        if name == "memory":
            command.add_argument("--minutes", default="1,10")
            command.add_argument("--child", action="store_true")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()

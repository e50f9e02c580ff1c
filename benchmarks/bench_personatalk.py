"""PersonaTalk's speed: stage 2 with 5 and 25 lip references, training steps of both stages, the rasteriser.

    python benchmarks/bench_personatalk.py [--device cuda] [--preset personatalk-256] [--seconds 10] [--precision bf16]

Needs no data and no weights: inputs are random, networks untrained. A frame counts its PNCC, encoding of one new
neighbour, both attentions and the decoder; the lip references' keys are computed once, outside the clock.
"""

import argparse
import time

import torch

from lipsync_eval.baselines.kit.training.averaging import autocast
from lipsync_eval.baselines.personatalk.geometry.mediapipe import topology
from lipsync_eval.baselines.personatalk.geometry.pncc import lip_mask, pncc
from lipsync_eval.baselines.personatalk.network.stage1 import GeometryNetwork
from lipsync_eval.baselines.personatalk.network.stage2 import Known, Renderer
from lipsync_eval.baselines.personatalk.presets import load
from lipsync_eval.baselines.personatalk.training.geometry import GeometryLoss


def timed(work, device, seconds):
    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(2):
        work()
    wait()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        work()
        count += 1
        wait()
    return count / (time.perf_counter() - begun)


@torch.inference_mode()
def rendering(config, device, references, seconds, precision, batch):
    net, c, faces = Renderer(config.stage2).to(device).eval(), config.stage2, topology()
    posed = faces.mean * (c.size * 0.32) + (c.size / 2, c.size * 0.4, 0)
    drawn = torch.from_numpy(pncc(faces, posed, c.size)).to(device)
    mask = torch.from_numpy(lip_mask([posed[faces.lips, :2]], c.size, c.size // 4)).to(device).expand(batch, -1, -1)
    frame = torch.rand(1, 3, c.size, c.size, device=device)
    with autocast(device, precision):
        one = net.encode(frame, drawn[None])
        lip = net.know("lip", *(x.expand(references, -1, -1)[None] for x in one))
        lip = Known(*(x.expand(batch, -1, -1) for x in lip))

    def work():
        image = torch.from_numpy(pncc(faces, posed, c.size)).to(device)[None].expand(batch, -1, -1, -1)
        with autocast(device, precision):
            geometry, texture = net.encode(frame.expand(batch, -1, -1, -1), image)
            face = net.know("face", *(x[:, None].expand(-1, c.face_references, -1, -1) for x in (geometry, texture)))
            net.render(image, face, lip, mask).cpu()

    return batch * timed(work, device, seconds)


def stage_1(config, device, seconds, precision):
    pace, faces = config.geometry_train, topology()
    net = GeometryNetwork(config.stage1, faces).to(device)
    adam = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 1e-4)
    shape = (pace.batch, 640 * pace.window) if config.stage1.audio == "hubert" else (pace.batch, 4 * pace.window, 80)
    sound = torch.randn(shape, device=device)
    mean = torch.tensor(faces.mean, dtype=torch.float32, device=device)
    loss, rest = GeometryLoss(config.geometry_loss, faces), mean[faces.low].expand(pace.batch, -1, -1)
    target = torch.zeros(pace.batch, pace.window, len(faces.low), 3, device=device)

    def work():
        with autocast(device, precision):
            style = net.style_of(mean.expand(pace.batch, pace.reference, -1, -1))
            found = net(sound, style, mean.expand(pace.batch, -1, -1), pace.window)
        adam.zero_grad()
        loss(found.float(), target, rest)[0].backward()
        adam.step()

    return timed(work, device, seconds)


def stage_2(config, device, seconds, precision):
    c, batch = config.stage2, config.render_train.batch
    net = Renderer(c).to(device)
    adam = torch.optim.Adam(net.parameters(), 1e-4)
    images = [torch.rand(batch, 5, 3, c.size, c.size, device=device) for _ in range(4)]
    mask = torch.zeros(batch, c.size // 4, c.size // 4, device=device)
    mask[:, c.size // 7 : c.size // 5, c.size // 12 : c.size // 6] = 1

    def work():
        with autocast(device, precision):
            made = net(images[0][:, 0], mask, *images)
        adam.zero_grad()
        made.float().square().mean().backward()
        adam.step()

    return timed(work, device, seconds)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--preset", default="personatalk-256")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--batch", type=int, default=4)
    args = parser.parse_args()
    device, config = torch.device(args.device), load(preset=args.preset)
    if device.type == "cuda":
        print(torch.cuda.get_device_name(device))
    faces = topology()
    rate = timed(lambda: pncc(faces, faces.mean * 80 + (128, 100, 0), 256), torch.device("cpu"), min(args.seconds, 2))
    print(f"PNCC at 256 px: {1000 / rate:.1f} ms", flush=True)
    for references in (5, 25):
        rate = rendering(config, device, references, args.seconds, args.precision, args.batch)
        print(f"{args.preset} stage 2, {references} lip references, {args.precision}: {rate:.2f} frames/s", flush=True)
    print(
        f"stage 2, training steps/s (batch {config.render_train.batch}, no discriminator): "
        f"{stage_2(config, device, args.seconds, args.precision):.2f}",
        flush=True,
    )
    print(
        f"stage 1, training steps/s (batch {config.geometry_train.batch}, {config.stage1.audio}): "
        f"{stage_1(config, device, args.seconds, args.precision):.2f}",
        flush=True,
    )
    if device.type == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")


main()

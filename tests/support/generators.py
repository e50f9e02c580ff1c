"""Toy generators that the tests run as other people's code: a good one and many bad ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from support import clips

SCRIPT = """
import json, os, signal, subprocess, sys, time
job = json.load(open(sys.argv[1]))
mode = sys.argv[2]
side = sys.argv[3]
with open(side, "a") as f:
    f.write(mode + " " + job["id"] + "\\n")

def good(fps=25, sound=True, keep=lambda f: f):
    import numpy as np, wave
    from lipsync_eval.media import open_clip, write_video
    frames = [keep(f) for f in open_clip(__import__("pathlib").Path(job["video"])).frames()]
    with wave.open(job["audio"], "rb") as w:
        samples = np.frombuffer(w.readframes(w.getnframes()), "<i2").astype(np.float32) / 32768
    write_video(__import__("pathlib").Path(job["output"]), frames, fps=fps, audio=samples if sound else None, codec="h264", crf=18)

def blur(frame):
    import cv2
    out = frame.copy()
    h, w = frame.shape[:2]
    mouth = out[h * 5 // 9 : h * 7 // 9, w // 3 : w * 2 // 3]
    mouth[...] = cv2.GaussianBlur(mouth, (0, 0), 3)
    return out

def child(code):
    return subprocess.Popen([sys.executable, "-c", code, "toy_" + side], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

FOREVER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
if mode == "good":
    good()
elif mode == "blur":
    good(keep=blur)
elif mode == "crash":
    print("about to divide")
    1 / 0
elif mode == "segv":
    os.kill(os.getpid(), signal.SIGSEGV)
elif mode == "hang":
    child(FOREVER)
    time.sleep(1000)
elif mode == "nothing":
    print("all done")
elif mode == "empty":
    open(job["output"], "w").close()
elif mode == "half":
    good()
    data = open(job["output"], "rb").read()
    open(job["output"], "wb").write(data[: len(data) // 2])
elif mode == "only_a":
    if job["id"] == "a":
        good()
elif mode == "fps30":
    good(fps=30)
elif mode == "silent":
    good(sound=False)
elif mode == "flood":
    line = ("x" * 99 + "\\n") * 10000
    print("first words", flush=True)
    for _ in range(100):
        sys.stdout.write(line)
    print("last words")
    good()
elif mode == "forks":
    child(FOREVER)
    if os.fork() == 0:                       # a daemon: own session, double fork, no trace of its parent's environment
        os.setsid()
        if os.fork() == 0:
            os.execve(sys.executable, [sys.executable, "-c", FOREVER, "toy_" + side], {})
        os._exit(0)
    good()
elif mode == "cuda":
    raise RuntimeError("Found no NVIDIA driver on your system.")
elif mode == "memory":
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)) * 50)
        time.sleep(0.02)
elif mode == "wait":
    child(FOREVER)
    open(side + ".waiting", "w").write(job["work"])
    time.sleep(1000)
else:
    sys.exit("unknown mode " + mode)
"""


def toy_folder(
    root: Path, modes: dict[str, dict[str, Any]], n: int = 10, size: int = 64, names: tuple[str, ...] = ("a",)
) -> dict[str, Path]:
    """A folder with the script, baselines.toml (a generator per mode, each with the given settings), clips and a manifest.

    Returns:
        paths: config, data, side (a line per run), root.
    """
    (root / "toy.py").write_text(SCRIPT)
    side = root / "side.txt"
    lines = []
    for mode, settings in modes.items():
        command = ["{python}", "toy.py", "{job}", mode, str(side)]
        lines += [
            f"[{mode}]",
            'repo = "."',
            f"python = {json.dumps(sys.executable)}",
            f"command = {json.dumps(command)}",
        ]
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()] + [""]
    (root / "baselines.toml").write_text("\n".join(lines))
    rows = ["id,video,audio"]
    for i, name in enumerate(names):
        clips.write(root / "real" / f"{name}.mkv", clips.frames(n, size, i), clips.sound(n, i))
        rows.append(f"{name},real/{name}.mkv,real/{name}.mkv")
    (root / "clips.csv").write_text("\n".join(rows) + "\n")
    return {"config": root / "baselines.toml", "data": root / "clips.csv", "side": side, "root": root}


def runs_of(side: Path) -> list[str]:
    """'MODE ID' of every time that the script was started."""
    return side.read_text().splitlines() if side.exists() else []


def toys_alive(side: Path) -> list[int]:
    """Processes of the toy generators that still run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            zombie = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] == "Z"
        except (OSError, IndexError):
            continue
        if str(side) in words and ("toy.py" in words or "toy_" in words) and not zombie:
            found.append(int(entry.name))
    return found

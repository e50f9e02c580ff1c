"""`table`, `gate`, `explain` and `report` on made-up runs of many clips: processor seconds, wall clock, peak memory.

    python benchmarks/bench_reports.py [--clips 20000] [--metrics 12] [--page-clips 5000] [--keep FOLDER]

Two methods on the same real videos; every clip carries what `score` writes about it. Values come from a seed, so two
versions of the package can be compared by what the commands print: `--keep` leaves the runs and every output in a folder.
The page is made of smaller runs with per-frame values, without previews of videos (encoding them is another matter); its
first view is timed in headless Chromium where that and Selenium are installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.results.frames import write_frames

METRICS = {
    "psnr": (31.0, 2.0), "psnr_pooled": (30.0, 2.0), "ssim": (0.9, 0.03), "ms_ssim": (0.92, 0.03), "lmd": (2.0, 0.5),
    "lmd_centered": (1.9, 0.5), "lmd_norm": (0.015, 0.004), "f_lmd": (1.1, 0.2), "lse_c": (7.0, 1.0), "lse_d": (7.5, 0.7),
    "av_offset": (0.0, 1.0), "csim": (0.85, 0.05),
}  # fmt: skip
"""Metric -> mean and spread over clips."""
PER_FRAME = ("psnr", "ssim", "ms_ssim", "lmd", "lmd_centered", "lmd_norm", "f_lmd", "csim")
"""Metrics with a value for each frame."""
TRUTH = ("lse_c", "lse_d", "av_offset")
"""Metrics that the real videos have too."""
MEASURE = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); u = resource.getrusage(resource.RUSAGE_CHILDREN); print(code, u.ru_utime + u.ru_stime, u.ru_maxrss / 1024, file=sys.stderr)"  # fmt: skip


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def side(name: str, number: int) -> dict[str, Any]:
    """What a row says about one of its videos."""
    faces = {"found": 125, "missing": 0, "filled": 0}
    return {
        "sound_file": None, "n_frames": 125, "height": 512, "width": 512, "source_fps": 25.0, "sound_seconds": 5.0,
        "sha256": sha(f"{name}{number}"), "faces": faces, "frames_cropped": 125,
    }  # fmt: skip


def make_run(folder: Path, name: str, n: int, metrics: list[str], shift: float, seed: int) -> None:
    """A run of n clips as a folder with its results.json; some clips of some metrics failed."""
    easy = np.random.default_rng(0).normal(size=n)  # how hard a clip is, alike for both methods
    dice = np.random.default_rng(seed)
    values, truth, lost = {}, {}, {}
    for metric in metrics:
        middle, spread = METRICS[metric]
        values[metric] = middle + spread * (easy + shift * dice.normal() + 0.3 * dice.normal(size=n))
        lost[metric] = set(dice.choice(n, n // 1000, replace=False).tolist())
        if metric in TRUTH:
            truth[metric] = middle + spread * easy
    clips = [
        {
            "id": f"speaker{i % 400:03d}/clip{i:05d}",
            "gen": f"../{name}/speaker{i % 400:03d}/clip{i:05d}.mp4",
            "gt": f"../gt/speaker{i % 400:03d}/clip{i:05d}.mp4",
            "n_frames": 125,
            "values": {m: None if i in lost[m] else float(v[i]) for m, v in values.items()},
            "gt_values": {m: float(v[i]) for m, v in truth.items()},
            "notes": [],
            "details": {"gen": side(name, i), "gt": side("gt", i)},
            "speaker": f"speaker{i % 400:03d}",
        }
        for i in range(n)
    ]
    scores = []
    for metric, column in values.items():
        good = [float(v) for i, v in enumerate(column) if i not in lost[metric]]
        way = {"av_offset": "zero", "lse_d": "down"}.get(metric, "down" if "lmd" in metric else "up")
        scores.append(
            {
                "metric": metric,
                "value": float(np.mean(good)),
                "direction": way,
                "unit": "1",
                "ci": None,
                "mean_abs": float(np.mean(np.abs(good))) if way == "zero" else None,
                "gt_value": float(np.mean(truth[metric])) if metric in truth else None,
                "n_scored": len(good),
                "n_asked": n,
                "signature": f"agg:clip-mean|fps:25|metric:{metric}.1|n:{len(good)}of{n}|proto:radio.1|v:0.1.0",
            }
        )
    failures = [
        {"id": clips[i]["id"], "stage": "metric", "metric": m, "error": "MetricError", "message": "made up"}
        for m in metrics
        for i in sorted(lost[m])
    ]
    run = {
        "name": name, "command": ["made", "up"], "version": "0.1.0", "commit": None, "dirty": None, "seed": 12345,
        "started": "2026-01-01T00:00:00+00:00", "seconds": 1.0,
    }  # fmt: skip
    data = {"n_pairs": n, "digest": sha(name), "gt_digest": sha("gt"), "gen": f"../{name}", "gt": "../gt"}
    whole = {
        "schema": 2, "run": run, "data": data, "environment": {}, "scores": scores, "clips": clips, "failures": failures,
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(whole, indent=2) + "\n", "utf-8")


def add_frames(folder: Path, n: int) -> None:
    """frames.npz of a run: a curve a frame for PER_FRAME and SyncNet's distance by shift."""
    dice = np.random.default_rng(7)
    ids = [f"speaker{i % 400:03d}/clip{i:05d}" for i in range(n)]

    def arrays() -> Iterator[tuple[str, NDArray[np.generic]]]:
        for metric in PER_FRAME:
            middle, spread = METRICS[metric]
            yield metric, middle + spread * dice.normal(size=125)
        yield "syncnet_distance", dice.uniform(6, 14, (121, 31)).astype(np.float32)

    write_frames(folder / "frames.npz", ids, (arrays() for _ in ids))


def first_view(page: Path) -> str:
    """Seconds from the address to the first painted frame with text, at two widths."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        return "not measured: Selenium is not installed"
    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        return "not measured: chromium and chromedriver are not installed"
    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.binary_location = chromium
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    said = []
    try:
        for width in (1600, 400):
            driver.set_window_size(width, 900)
            driver.get("about:blank")
            driver.execute_cdp_cmd("Performance.disable", {})
            driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
            driver.get((page / "index.html").absolute().as_uri())
            paint = driver.execute_script("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
            loaded = driver.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
            counted = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
            busy = next(m["value"] for m in counted if m["name"] == "TaskDuration")
            began = time.perf_counter()
            driver.execute_script("document.getElementById('most').click(); return document.body.offsetHeight")
            sort = time.perf_counter() - began
            said.append(
                f"{width} px: painted after {paint / 1000:.1f} s, loaded after {loaded / 1000:.1f} s "
                f"({busy:.1f} s of the page's processor time), sorted by the difference in {sort:.1f} s"
            )
    finally:
        driver.quit()
    return "; ".join(said)


def size_of(page: Path) -> str:
    files = [p for p in page.rglob("*") if p.is_file()]
    first = sum((page / name).stat().st_size for name in ("index.html", "data/run.js"))
    first += sum(p.stat().st_size for p in page.glob("*.[jc]s*") if p.name != "plotly.min.js")
    whole = sum(p.stat().st_size for p in files)
    return f"{whole / 2**20:.0f} MB in {len(files)} files; read before the first view: {first / 2**20:.1f} MB"


def measured(out: Path, *line: str) -> str:
    """Run a command of lipsync-eval in a process of its own; its output goes into a file."""
    began = time.perf_counter()
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "lipsync_eval", *line]
    with out.open("w", encoding="utf-8") as stdout:
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=True)
    code, seconds, peak = done.stderr.splitlines()[-1].split()
    if code not in ("0", "1"):
        raise SystemExit(done.stderr)
    wall = time.perf_counter() - began
    return f"| {line[0]}{' --resample speaker' if 'speaker' in line else ''} | {float(seconds):.1f} | {wall:.1f} | {float(peak):.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--metrics", type=int, default=len(METRICS), help=f"1 to {len(METRICS)}")
    parser.add_argument("--page-clips", type=int, default=5_000, help="of the page; 0: no page")
    parser.add_argument("--keep", type=Path, help="leave runs and outputs there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = given.keep or Path(temporary)
        a, b = root / "runs" / "a", root / "runs" / "b"
        for folder, shift, seed in ((a, 0.0, 1), (b, 0.02, 2)):
            if not folder.exists():
                make_run(folder, folder.name, given.clips, list(METRICS)[: given.metrics], shift, seed)
        size = (a / "results.json").stat().st_size / 2**20
        print(f"two runs of {given.clips} clips and {given.metrics} metrics, results.json {size:.0f} MB each\n")
        print("| command | CPU seconds | wall seconds | peak MB |\n|---|---|---|---|")
        lines = [
            ("explain", str(a), str(b)),
            ("table", str(a), str(b)),
            ("table", str(a), str(b), "--resample", "speaker"),
            ("gate", str(b), "--baseline", str(a)),
            ("gate", str(b), "--baseline", str(a), "--resample", "speaker"),
        ]
        for number, line in enumerate(lines):
            print(measured(root / f"{number}-{line[0]}.txt", *line), flush=True)
        if given.page_clips:
            paged = [root / "paged" / name for name in ("a", "b")]
            for folder, shift, seed in zip(paged, (0.0, 0.02), (1, 2), strict=True):
                if not folder.exists():
                    make_run(folder, folder.name, given.page_clips, list(METRICS)[: given.metrics], shift, seed)
                    add_frames(folder, given.page_clips)
            page = root / "page"
            print(measured(root / "report.txt", "report", *map(str, paged), "--no-media", "--out", str(page)))
            print(f"\nThe page of {given.page_clips} clips: {size_of(page)}\n{first_view(page)}")


if __name__ == "__main__":
    main()

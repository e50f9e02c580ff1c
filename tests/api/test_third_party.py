"""A metric that a stranger's package brings: printed with its own title, digits and direction everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.clips import frames, sound, write

METRIC = '''
"""Mean grey difference of crops: lower is better."""
import numpy as np
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec

SPEC = MetricSpec(
    name="acme_grey", title="Grey Gap (Acme)", direction="down", unit="grey", range=(0.0, 255.0), decimals=1,
    needs=frozenset({"gen.crop", "gt.crop"}), pooling="clip-mean", group="core", weights=(),
    summary="Mean absolute difference.", reads="Small is alike.", citation="Acme", reference="ours", tolerance=0.0, version=7,
)


class Meter:
    def __init__(self):
        self.found = []

    def update(self, batch):
        if batch.both.any():
            self.found.append(np.abs(batch.gen_crops.astype(float) - batch.gt_crops).mean())

    def finish(self):
        return Measurement(values={"acme_grey": float(np.mean(self.found))})


class Grey(Family):
    specs = (SPEC,)

    def __init__(self, settings, metrics):
        self.settings, self.metrics = settings, metrics

    def check(self):
        pass

    def signature(self, metric):
        return {}

    def start(self, pair):
        return Meter()
'''


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a machine on which the package acme-metric is installed."""
    site = tmp_path_factory.mktemp("site")
    (site / "acme_metric.py").write_text(METRIC)
    info = site / "acme_metric-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-metric\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lipsync_eval.metrics]\nacme = acme_metric:Grey\n")
    root = Path(__file__).parents[2]
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(site)]), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def runs(acme: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("acme")
    real = list(frames(5))
    write(folder / "gt" / "a.mkv", real, sound(5))
    for name, step in (("near", 2), ("far", 30)):
        dark = [np.clip(f.astype(int) - step, 0, 255).astype(np.uint8) for f in real]
        write(folder / name / "a.mkv", dark, sound(5))
        line = ["score", str(folder / name), str(folder / "gt"), "--metrics", "psnr,acme_grey", "--protocol", "raw"]
        out = call(acme, [*line, "--out", str(folder / "runs" / name), "--no-cache"])
        assert "acme_grey (grey)" in out and "lower" in out
    return folder / "runs"


def call(env: dict[str, str], line: list[str], code: int = 0) -> str:
    done = subprocess.run([sys.executable, "-m", "lipsync_eval", *line], env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.mark.parametrize("installed", [True, False])
def test_table_plot_report_and_gate(acme: dict[str, str], runs: Path, tmp_path: Path, installed: bool) -> None:
    """On the machine that scored, and on one that has never heard of the metric."""
    env = acme if installed else acme | {"PYTHONPATH": acme["PYTHONPATH"].split(os.pathsep)[0]}
    both = [str(runs / "far"), str(runs / "near")]
    text = call(env, ["table", *both])
    assert "Grey Gap (Acme) ↓" in text
    near = next(line for line in text.splitlines() if line.startswith("near"))
    value = near.split()[-1]
    assert value.startswith("**") and len(value.strip("*").partition(".")[2]) == 1, "best is lowest; one digit"
    latex = call(env, ["table", *both, "--format", "latex"])
    assert r"Grey Gap (Acme) $\downarrow$" in latex and "acme" not in latex.split("\\caption")[0].replace("% ", "")
    gate = call(env, ["gate", str(runs / "far"), "--baseline", str(runs / "near")], code=1)
    assert "worse" in next(line for line in gate.splitlines() if line.startswith("acme_grey"))
    better = call(env, ["gate", str(runs / "near"), "--baseline", str(runs / "far")])
    assert "better" in next(line for line in better.splitlines() if line.startswith("acme_grey"))
    call(env, ["plot", *both, "--metrics", "acme_grey", "--out", str(tmp_path / "bars")])
    assert (tmp_path / "bars.png").stat().st_size > 5_000
    call(env, ["report", *both, "--out", str(tmp_path / "page"), "--no-media"])
    data = (tmp_path / "page" / "data" / "run.js").read_text()
    assert '"heading":"Grey Gap (Acme)","decimals":1,"direction":"down","unit":"grey"' in data


def test_the_plots_title(runs: Path) -> None:
    from lipsync_eval.reports.plots import draw
    from lipsync_eval.results.schema import load_result

    axes = draw("bars", [load_result(runs / "near")], ["acme_grey"], []).axes[0]
    assert axes.get_title() == "Grey Gap (Acme) (grey) ↓"

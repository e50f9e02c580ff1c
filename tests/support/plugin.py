"""A metric of a third party, as an installed package, that does what metrics should not do on clips of certain names."""

from __future__ import annotations

import os
from pathlib import Path

MODULE = '''
"""Ends its process on clips called exit*, segv* and kill*; once* only the first time; pools badly."""
import os, signal
from pathlib import Path
import numpy as np
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec, Pooled


def spec(name, pooling):
    return MetricSpec(
        name=name, title=name, direction="up", unit="1", range=(0.0, 1e9), decimals=3,
        needs=frozenset({"gen.frames", "gt.frames"}), pooling=pooling, group="opt-in", weights=(), summary="s", reads="r",
        citation="c", reference="ours", tolerance=0.0, version=1,
    )


class Odd(Family):
    specs = (spec("odd", "clip-mean"), spec("pool_raises", "pooled"), spec("pool_nan", "pooled"))

    def start(self, pair):
        return Meter(pair.id)

    def pool(self, metric, states):
        if metric == "pool_nan":
            return Pooled(float("nan"), (), {})
        raise ZeroDivisionError("pooled badly")


class Meter:
    def __init__(self, name):
        self.name, self.n = name, 0

    def update(self, batch):
        self.n += len(batch.gen)

    def finish(self):
        if self.name.startswith("once"):
            try:
                (Path(os.environ["ODD_FOLDER"]) / self.name).touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        if self.name.startswith("exit"):
            os._exit(0)
        if self.name.startswith("segv"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.name.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        found = Measurement(values={"odd": float(self.n)}, states={"pool_raises": {"n": np.array(1)}, "pool_nan": {"n": np.array(1)}})
        if self.name.startswith("unwritable"):
            found.details["odd"] = np.int64(3)
        return found
'''


def install(folder: Path) -> dict[str, str]:
    """Put the package into a folder; gives the environment in which it is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "odd_metric.py").write_text(MODULE, "utf-8")
    facts = folder / "odd_metric-1.0.dist-info"
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-metric\nVersion: 1.0\n", "utf-8")
    (facts / "entry_points.txt").write_text("[lipsync_eval.metrics]\nodd = odd_metric:Odd\n", "utf-8")
    path = os.pathsep.join(p for p in (str(folder), os.environ.get("PYTHONPATH", "")) if p)
    return {**os.environ, "PYTHONPATH": path, "ODD_FOLDER": str(folder)}

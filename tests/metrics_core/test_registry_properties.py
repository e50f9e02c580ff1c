"""Every metric of the registry declares all it must, and every one that runs without weights has the properties it must have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from lipsync_eval import check_metric
from lipsync_eval.cli import run
from lipsync_eval.errors import UsageError
from lipsync_eval.metrics import registry
from lipsync_eval.metrics.checks.rules import spec_faults
from lipsync_eval.settings import Settings

BESIDE = {"weights", "npz", "reference", "experiment"}
"""What the user has to bring, or an experiment to make."""


def alone(family: type[registry.Family]) -> list[str]:
    """The ids of a family that run with what is here."""
    return [spec.name for spec in family.specs if not spec.needs & BESIDE]


NOT_MONOTONE = {
    "Blinks": "two faces without a blink are equal, however noisy",
    "Timing": "few extrema can be matched in 2 s; those of a noisy mouth may lie nearer",
}
"""Families whose values need not get worse with every level of noise, and why."""
CORE = [family for family in registry.families() if alone(family)]


@pytest.mark.parametrize("name", registry.specs())
def test_specs_are_complete(name: str) -> None:
    assert list(spec_faults(registry.get_spec(name))) == []


def test_the_fixed_ids_of_the_core_are_there() -> None:
    groups = {name: spec.group for name, spec in registry.specs().items()}
    core = {"psnr", "psnr_pooled", "ssim", "ms_ssim", "lmd", "lmd_centered", "lmd_norm", "f_lmd"}
    assert {name for name in core if groups[name] != "core"} == set()
    assert groups["psnr_uint8wrap"] == groups["lmd_atvg_sum"] == "opt-in"
    assert core <= set(registry.select("core")) <= set(registry.select("all"))
    assert not {"psnr_uint8wrap", "lmd_atvg_sum"} & set(registry.select("all"))


@pytest.mark.parametrize("family", CORE, ids=lambda family: family.__name__)
def test_families_without_weights(family: type[registry.Family]) -> None:
    names = alone(family)
    if family.__name__ == "Theval" and find_spec("silero_vad") is None:
        pytest.skip("silero-vad is not installed")
    monotone = family.__name__ not in NOT_MONOTONE
    reports = [
        check_metric(target, monotone=monotone) for target in ([family] if len(names) == len(family.specs) else names)
    ]
    assert [name for report in reports for name in report.metrics] == names
    assert all(
        {"a clip against itself", "any batching, and again", "nothing to measure"} <= set(report.passed)
        for report in reports
    )


def test_families_import_cheaply() -> None:
    """No library that takes long is imported with a family's module, and nothing is printed."""
    modules = sorted({family.__module__ for family in registry.families()})
    slow = ("torch", "cv2", "skimage", "scipy", "onnxruntime", "pandas", "dlib")
    code = f"import sys, {', '.join(modules)}; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


TOY = '''
"""A third party's metric."""
from dataclasses import replace
from lipsync_eval.metrics.base import Measurement
from lipsync_eval.metrics.psnr import PSNR, PSNRMeter

class Meter(PSNRMeter):
    def finish(self):
        found = super().finish()
        return Measurement(values={"toy_psnr": found.values["psnr"]}, frames={"toy_psnr": found.frames["psnr"]}, notes=found.notes, details=found.details)

class Toy(PSNR):
    """PSNR under another name."""
    specs = (replace(PSNR.specs[0], name="NAME"),)
    def start(self, pair):
        return Meter(pair, frozenset({"psnr"}))
'''


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path in which a distribution can be laid down as pip does."""
    caches = (registry.families, registry.specs, registry.family_of, registry.declared_options)
    monkeypatch.syspath_prepend(str(tmp_path))
    for cached in caches:
        cached.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    sys.modules.pop("toy_metric", None)
    for cached in caches:
        cached.cache_clear()


def install(folder: Path, module: str, entry: str = "toy_metric:Toy") -> None:
    (folder / "toy_metric.py").write_text(module)
    info = folder / "toy_metric-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-metric\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lipsync_eval.metrics]\ntoy = {entry}\n")


def test_a_third_party_adds_a_metric(plug_in: Path) -> None:
    install(plug_in, TOY.replace("NAME", "toy_psnr"))
    assert list(registry.specs())[-1] == "toy_psnr"
    assert "toy_psnr" in registry.select("core")
    assert registry.family_of("toy_psnr").__module__ == "toy_metric"
    assert check_metric("toy_psnr", n_frames=10).metrics == ("toy_psnr",)


def test_a_third_partys_option_is_checked_shown_and_signed(plug_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    option = 'Option(name="toy_gain", heading="Toy", help="Louder.", kind="float", default="1.5", moves=True)'
    toy = TOY.replace("NAME", "toy_psnr").replace("    def start", f"    options = ({option},)\n    def start")
    install(plug_in, toy.replace("from dataclasses", "from lipsync_eval.options import Option\nfrom dataclasses"))
    made = Settings(options={"toy-gain": 2})
    assert registry.family_of("toy_psnr")(made, frozenset({"toy_psnr"})).keys("toy_psnr") == {"toy_gain": "2.0"}
    with pytest.raises(UsageError, match=r"no option 'toy_gian'\. Did you mean toy_gain"):
        Settings(options={"toy_gian": "2"})
    with pytest.raises(UsageError, match="toy_gain='loud': expected a number"):
        Settings(options={"toy_gain": "loud"})
    assert run(["show", "toy_psnr"]) == run(["score", "-h"]) == 0
    printed = capsys.readouterr().out
    assert "toy_gain = number [default: 1.5]: Louder." in printed
    assert "--option toy_gain=" in printed


def test_a_class_without_the_base_class_is_refused(plug_in: Path) -> None:
    install(plug_in, "from lipsync_eval.metrics.psnr import PSNR\nclass Toy:\n    specs = PSNR.specs\n")
    with pytest.raises(UsageError, match=r"toy_metric\.Toy.* is no subclass of lipsync_eval\.metrics\.base\.Family"):
        registry.specs()


def test_a_third_party_cannot_take_a_name(plug_in: Path) -> None:
    install(plug_in, TOY.replace("NAME", "psnr"))
    with pytest.raises(
        UsageError,
        match=r"two metrics are called 'psnr' \(lipsync_eval\.metrics\.psnr:PSNR and toy_metric:Toy\); rename",
    ):
        registry.families()


def test_a_broken_plug_in_is_named(plug_in: Path) -> None:
    install(plug_in, "raise ImportError('no such thing')")
    with pytest.raises(
        UsageError,
        match=r"the metric plug-in 'toy' \(toy_metric:Toy\) cannot be loaded: ImportError\('no such thing'\)",
    ):
        registry.specs()


@pytest.mark.parametrize("text", ["psnrr", "-psnr,-nothing", "core,-", ","])
def test_unknown_names_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        registry.select(text)


def test_selection() -> None:
    assert registry.select("lmd,psnr") == ("psnr", "lmd")
    assert "psnr" not in registry.select("-psnr") and "ssim" in registry.select("-psnr")
    assert registry.select("psnr_uint8wrap") == ("psnr_uint8wrap",)
    with pytest.raises(UsageError, match=r"Did you mean .*lmd"):
        registry.select("lmdd")

"""The action, the GitLab component, the workflows and the Dockerfile: their scripts run here as far as they can.

No Docker and no runner is used: the shell steps of the action and the component run with the installed command.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.videos import make_video, stamped

ROOT = Path(__file__).parents[2]
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
SHELL = shutil.which("bash")
pytestmark = pytest.mark.skipif(SHELL is None, reason="needs bash")


def loaded(name: str) -> Any:
    return list(yaml.safe_load_all((ROOT / name).read_text("utf-8")))[-1]


def steps() -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in loaded("action.yml")["runs"]["steps"] if "name" in step}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with gen, gt (two clips each) and bin/lipsync-eval."""
    rng = np.random.default_rng(1)
    for side, noise in (("gt", 0), ("gen", 3)):
        (tmp_path / side).mkdir()
        for clip in "ab":
            frames = [stamped(i) for i in range(5)]
            noisy = [np.clip(f + rng.integers(-noise, noise + 1, f.shape), 0, 255).astype(np.uint8) for f in frames]
            make_video(tmp_path / side / f"{clip}.mkv", noisy)
    command = tmp_path / "lipsync-eval"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lipsync_eval "$@"\n')
    command.chmod(0o755)
    return tmp_path


def step(place: Path, name: str, **given: str) -> tuple[int, dict[str, str], str]:
    """Run one step of the action as a runner does; its exit code, its outputs, what it wrote."""
    out, summary = place / "outputs", place / "summary.md"
    out.write_text("")
    environment = {**os.environ, **given, "GITHUB_OUTPUT": str(out), "GITHUB_STEP_SUMMARY": str(summary)}
    environment["COMMAND"] = str(place / "lipsync-eval")
    declared = set(steps()[name]["env"])
    assert declared == set(given) | {"COMMAND"}, "every variable of the step is given"
    done = subprocess.run(
        [str(SHELL), "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()[name]["run"]],
        cwd=place, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    outputs = dict(line.split("=", 1) for line in out.read_text().splitlines())
    return done.returncode, outputs, done.stdout + done.stderr


def scored(place: Path, **more: str) -> tuple[int, dict[str, str], str]:
    given = {"GEN": "gen", "GT": "gt", "METRICS": "psnr", "NAME": "new", "OUT": "run", "WORKERS": "1"}
    return step(place, "Score", **{**given, "MORE": "--protocol=raw\n", **more})


def gated(place: Path, **more: str) -> tuple[int, dict[str, str], str]:
    given = {"OUT": "run", "BASELINE": "base.json", "TOLERANCE": "psnr=0.1", "STRICT": "false", "SCORED": "0"}
    return step(place, "Gate", **{**given, **more})


def test_action_scores_and_gates(place: Path) -> None:
    code, outputs, said = scored(place)
    assert code == 0 and outputs == {"results": "run/results.json", "code": "0"}, said
    assert "PSNR" in (place / "summary.md").read_text()
    made = subprocess.run([place / "lipsync-eval", "gate", "run", "--update", "base.json"], cwd=place)
    assert made.returncode == 0
    code, outputs, said = gated(place)
    assert code == 0 and outputs["verdict"] == "pass", said
    assert (place / "lipsync-gate.xml").read_text().startswith("<?xml")
    for clip in "ab":
        make_video(place / "gen" / f"{clip}.mkv", [255 - stamped(i) for i in range(5)])
    assert scored(place)[0] == 0
    code, outputs, said = gated(place)
    assert code == 1 and outputs["verdict"] == "worse", said


def test_action_without_baseline_fails_where_clips_fail(place: Path) -> None:
    (place / "gen" / "b.mkv").write_bytes(b"no video")
    code, outputs, said = scored(place)
    assert code == 0 and outputs["code"] == "3", said
    code, outputs, _ = gated(place, BASELINE="", SCORED=outputs["code"])
    assert code == 3 and outputs["verdict"] == "none"


def test_inputs_are_never_pieces_of_a_script(place: Path) -> None:
    evil = '$(touch evil)"; touch evil; "'
    scored(place, NAME=evil, MORE=f"--protocol=raw\n--cache={evil}\n")
    gated(place, BASELINE=evil, TOLERANCE=evil)
    assert not (place / "evil").exists()
    for name, one in steps().items():
        assert "${{" not in one["run"], f"{name}: an input inside the script runs as code"
    component = loaded("templates/lipsync-eval.yml")["lipsync-gate"]["script"]
    assert not [line for line in component if "$[[" in line]


def test_component_runs(place: Path) -> None:
    made = loaded("templates/lipsync-eval.yml")["lipsync-gate"]
    assert scored(place)[0] == 0
    subprocess.run([place / "lipsync-eval", "gate", "run", "--update", "base.json"], cwd=place, check=True)
    given = {"GEN": "gen", "GT": "gt", "BASELINE": "base.json", "METRICS": "psnr", "TOLERANCE": "psnr=0.1"}
    environment = {**os.environ, **{f"LIPSYNC_{k}": v for k, v in given.items()}, "CI_COMMIT_SHORT_SHA": "abc"}
    assert {f"LIPSYNC_{k}" for k in given} | {"LIPSYNC_SOURCE", "PIP_CONSTRAINT"} == set(made["variables"])
    (place / "lipsync-eval.toml").write_text('[score]\nprotocol = "raw"\n')
    script = "\n".join(line for line in made["script"] if not line.startswith("pip install"))
    environment["PATH"] = f"{place}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(SHELL), "-euo", "pipefail", "-c", script], cwd=place, env={**environment, "PIP_CONSTRAINT": ""}
    )
    assert done.returncode == 0 and (place / "lipsync-gate.xml").is_file()


@pytest.mark.parametrize("name", [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / ".github").rglob("*.yml"))])
def test_yaml_reads_and_scripts_parse(name: str) -> None:
    data = loaded(name)
    for job in data.get("jobs", {}).values():
        assert "runs-on" in job and job["steps"]
        for one in job["steps"]:
            assert ("uses" in one) != ("run" in one)
            if "run" in one:
                assert subprocess.run([str(SHELL), "-n", "-c", one["run"]]).returncode == 0, one
    for field in data.get("body", []):
        assert field["type"] in {"input", "textarea"} and field["attributes"]["label"]


def test_forms_ask_for_the_signature() -> None:
    for name in ("number", "fault"):
        labels = [f["attributes"]["label"] for f in loaded(f".github/ISSUE_TEMPLATE/{name}.yml")["body"]]
        assert any("ignature" in label for label in labels)


def test_dockerfile_keeps_its_promises() -> None:
    """What can be read without docker: every copied path is there, the user is not root, nothing is written below HOME."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    for name in (
        "lipsync_eval",
        "protocols",
        "baselines",
        "reports",
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
    ):
        assert (ROOT / name).exists() and f"!{name}" in ignored
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["1000"]
    assert "HOME=" not in text.replace("MPLCONFIGDIR", "") and 'VOLUME ["/weights", "/cache"]' in text
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)

"""baselines.toml, templates, views of repositories, prepared copies, `check`, containers."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lipsync_eval.baselines import all_adapters, get_adapter
from lipsync_eval.baselines.base import BaselineError, Patch, Weights
from lipsync_eval.baselines.check import check
from lipsync_eval.baselines.environments import Environment, read_environments
from lipsync_eval.baselines.patches import prepare, read_prepared
from lipsync_eval.baselines.testing import sample_job
from lipsync_eval.baselines.views import make_view
from lipsync_eval.errors import ParseError, UsageError


def _read(folder: Path, text: str) -> dict[str, Environment]:
    path = folder / "baselines.toml"
    path.write_text(text)
    return read_environments(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a", "cannot be read"),
        ("a = 1", "expected a table"),
        ("['a/b']\nrepo = '.'", "letters, digits"),
        ("[a]\nrepository = '.'", "unknown or of the wrong type"),
        ("[a]\nrepo = 3", "unknown or of the wrong type"),
        ("[a]\ncommand = 'python x.py'", "unknown or of the wrong type"),
        ("[a]\npython = 'p'\nconda = 'c'", "give one of"),
        ("[a]\ndevice = 'cuda:x'", "expected cpu, cuda or cuda:N"),
        ("[a]\ntimeout = 0", "timeout must be above 0"),
        ("[a]\nretries = -1", "retries 0 to 10"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ParseError, match=says):
        _read(tmp_path, text)


def test_paths_start_at_the_toml(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        "[a]\nrepo = 'code'\npython = 'venv/bin/python'\n[b]\npython = 'python3.12'\n[c]\n[c.options]\nn = 3\n",
    )
    assert found["a"].repo == (tmp_path / "code").resolve()
    assert found["a"].interpreter(tmp_path, tmp_path, {}) == (str(tmp_path / "venv/bin/python"),)
    assert found["b"].interpreter(tmp_path, tmp_path, {}) == ("python3.12",)
    assert found["c"].interpreter(tmp_path, tmp_path, {}) == (sys.executable,)
    assert found["c"].options == {"n": "3"}
    with pytest.raises(ParseError, match="cannot be read"):
        read_environments(tmp_path / "none.toml")


def test_a_container_gets_its_folders_and_is_removed(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    engine.chmod(0o755)
    found = _read(tmp_path, f"[a]\ncontainer = 'image:1'\nengine = '{engine}'\ndevice = 'cuda:1'\n")["a"]
    line = found.interpreter(tmp_path / "lipsync_x", tmp_path / "cwd", {"A": "b c"})
    assert line[:2] == (str(engine), "run")
    assert line[-2:] == ("image:1", "python")
    for part in (
        ("--gpus", "all"),
        ("--name", "lipsync_x"),
        ("--network", "none"),
        ("-e", "A=b c"),
        ("-w", str(tmp_path / "cwd")),
    ):
        assert part in pairwise(line)
    found.stop_container(tmp_path / "lipsync_x")
    assert (tmp_path / "calls").read_text() == "rm -f lipsync_x\n"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("[]", "expected a list of texts"),
        ("['x', 3]", "expected a list of texts"),
        ("['{nobody}']", r"\{nobody\} is not known"),
        ("['{']", "write"),
        ("['{0}']", "is not a name"),
        ("['{video.__class__}']", "is not a name"),
    ],
)
def test_wrong_templates(tmp_path: Path, command: str, says: str) -> None:
    with pytest.raises(ParseError, match=says):
        get_adapter("a", _read(tmp_path, f"[a]\ncommand = {command}\n"))


def test_a_template_is_filled(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        "[a]\ncommand = ['{python}', 'x.py', '--in={video}', '{{literal}}', '{ckpt}', '{job}', '{seed}']\n[a.options]\nckpt = 'm; rm -rf /'\n",
    )
    adapter = get_adapter("a", found)
    job = sample_job(tmp_path, found["a"].options)
    assert adapter.command is not None
    assert list(adapter.command(job)) == [
        "python",
        "x.py",
        f"--in={job.video}",
        "{literal}",
        "m; rm -rf /",
        str(job.work / "job.json"),
        "12345",
    ]
    assert json.loads(job.as_json())["options"] == {"ckpt": "m; rm -rf /"}
    with pytest.raises(BaselineError, match="cannot be filled"):
        adapter.command(replace(job, options={}))


def test_a_view_keeps_the_checkout_as_it_is(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    for name in ("run.py", "temp/old.avi", "code/demo.py", "code/cache/x", ".git/HEAD"):
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text("old")
    view = make_view(repo, tmp_path / "work" / "repo", ("temp", "code/cache", "results"))
    assert sorted(p.name for p in view.iterdir()) == ["code", "results", "run.py", "temp"]
    assert not list((view / "temp").iterdir())
    assert not list((view / "code" / "cache").iterdir())
    assert (view / "code" / "demo.py").read_text() == "old"
    (view / "temp" / "new.avi").write_text("new")
    (view / "code" / ".." / "temp" / "up.avi").write_text("new")
    assert sorted(p.name for p in (repo / "temp").iterdir()) == ["old.avi"]


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *words],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_prepare_patches_a_copy(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "audio.py").write_text("a = old(1)\nb = 2\n")
    _git(source, "init", "-q")
    _git(source, "add", ".")
    _git(source, "commit", "-q", "-m", "x")
    record = replace(
        all_adapters()["wav2lip"].record,
        commit=_git(source, "rev-parse", "HEAD"),
        patches=(Patch("audio.py", "old(1)", "new(x=1)", "names"),),
    )
    lines = prepare(record, source, tmp_path / "copy")
    assert (tmp_path / "copy" / "audio.py").read_text() == "a = new(x=1)\nb = 2\n"
    assert (source / "audio.py").read_text() == "a = old(1)\nb = 2\n"
    assert "old(1)  ->  new(x=1)" in lines[0]
    found = read_prepared(tmp_path / "copy")
    assert found is not None
    assert found["commit"] == record.commit
    with pytest.raises(UsageError, match="exists already"):
        prepare(record, source, tmp_path / "copy")
    with pytest.raises(UsageError, match="is there 0 times"):
        prepare(replace(record, patches=(Patch("audio.py", "other", "x", "y"),)), source, tmp_path / "copy2")
    with pytest.raises(UsageError, match="git checkout"):
        prepare(replace(record, commit="0" * 40), source, tmp_path / "copy2")
    with pytest.raises(UsageError, match="needs no changes"):
        prepare(replace(record, patches=()), source, tmp_path / "copy2")
    assert not (tmp_path / "copy2").exists()


def _findings(folder: Path, options: str = "", **change: object) -> dict[str, tuple[bool, str]]:
    record = replace(
        all_adapters()["wav2lip"].record,
        **{"patches": (), "imports": ("json",), "entry": "run.py", "weights": (), **change},
    )  # type: ignore[arg-type]
    environment = _read(folder, f"[wav2lip]\nrepo = 'code'\npython = {json.dumps(sys.executable)}\n{options}")[
        "wav2lip"
    ]
    return {f.what: (f.ok, f.message) for f in check(replace(all_adapters()["wav2lip"], record=record), environment)}


def test_check_looks_at_everything(tmp_path: Path) -> None:
    assert "is no folder" in _findings(tmp_path)["repository"][1]
    code = tmp_path / "code"
    code.mkdir()
    assert "holds no run.py" in _findings(tmp_path)["repository"][1]
    (code / "run.py").touch()
    assert _findings(tmp_path)["repository"][0]
    assert "no git checkout" in _findings(tmp_path)["repository"][1]
    _git(code, "init", "-q")
    _git(code, "add", ".")
    _git(code, "commit", "-q", "-m", "x")
    assert "the adapter was made for" in _findings(tmp_path)["repository"][1]
    commit = _git(code, "rev-parse", "HEAD")
    found = _findings(tmp_path, commit=commit)
    assert all(ok for ok, _ in found.values())
    assert "imports json" in found["python"][1]
    hinted = _findings(tmp_path, commit=commit, patches=(Patch("run.py", "a", "b", "c"),))["repository"]
    assert hinted[0]
    assert "baselines prepare wav2lip" in hinted[1]
    patched = _findings(tmp_path, commit=commit, imports=("no_such_module_x",))
    assert "No module named 'no_such_module_x'" in patched["python"][1]
    assert "set device" in _findings(tmp_path, commit=commit, gpu=True)["device"][1]
    assert not _findings(tmp_path, "device = 'cuda'\n", commit=commit)["python"][0]


def test_check_hashes_weights(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "w.pt").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    def one(options: str = "", **facts: str) -> tuple[bool, str]:
        found = _findings(tmp_path, options, weights=(Weights(**{"file": "w.pt", "where": "there", **facts}),))
        return next(v for k, v in found.items() if k.startswith("weights"))

    assert one(sha256=digest)[0]
    assert "another or a damaged file" in one(sha256="0" * 64)[1]
    assert "unverified" in one()[1]
    assert "get it from there" in one(file="v.pt")[1]
    assert one("[wav2lip.options]\ncheckpoint = 'w.pt'\n", file="v.pt", option="checkpoint")[0]
    assert "set checkpoint under" in one(file="", option="checkpoint")[1]
    assert not any(
        k.startswith("weights")
        for k in _findings(
            tmp_path, "[wav2lip.options]\nbox = '1'\n", weights=(Weights(file="v.pt", where="x", unless="box"),)
        )
    )


def test_check_names_what_is_not_there() -> None:
    without_code = dataclasses.replace(all_adapters()["wav2lip"], command=None)
    assert "no public code" in check(without_code, None)[0].message
    assert "no [wav2lip] in baselines.toml" in check(all_adapters()["wav2lip"], None)[0].message


def test_unknown_options_and_a_missing_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from support.generators import toy_folder

    from lipsync_eval.cli import run

    paths = toy_folder(tmp_path, {"good": {}})
    with paths["config"].open("a") as file:
        file.write("[wav2lip.options]\nchekpoint = 'x'\n[dinet]\n")
    more = ["--data", str(paths["data"]), "--out", str(tmp_path / "gen"), "--config", str(paths["config"]), "--quiet"]
    assert run(["baselines", "run", "wav2lip", *more]) == 2
    assert "chekpoint is no option of wav2lip; it has: checkpoint, box" in capsys.readouterr().err
    assert run(["baselines", "run", "dinet", "good", *more]) == 3
    assert "dinet: a: its code cannot run without CUDA" in capsys.readouterr().err
    assert (tmp_path / "gen" / "good" / "a.mp4").exists()


def test_our_own_generator_is_checked_without_a_file(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-P", "-m", "lipsync_eval", "baselines", "check", "radio"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "radio: ok   python:" in done.stdout and "no [radio]" not in done.stdout, done.stdout + done.stderr
    assert done.returncode == 2 and "NOT  weights checkpoint" in done.stdout, "a checkpoint is still to be named"

"""Prove a generator's environment without running it: repository at its commit, weights with their hashes, imports, GPU."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lipsync_eval.baselines.base import Adapter, Weights
from lipsync_eval.baselines.environments import Environment
from lipsync_eval.baselines.patches import head, prepared_facts, read_prepared, why_no_cpu
from lipsync_eval.files import sha256


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    message: str


def check(adapter: Adapter, environment: Environment | None) -> list[Finding]:
    """Look at everything that a run needs; nothing is generated or downloaded."""
    record = adapter.record
    if adapter.command is None:
        return [
            Finding(
                "code",
                False,
                f"{record.title} has no public code; its published numbers: `lipsync-eval list published`",
            )
        ]
    if environment is None:
        return [
            Finding(
                "environment",
                False,
                f"no [{record.name}] in baselines.toml: say there where its code and its python are (docs/baselines.md)",
            )
        ]
    found = [_repository(adapter, environment)]
    for weight in record.weights:
        if weight.unless and weight.unless in environment.options:
            continue
        found.append(_weight(environment, weight))
    found.append(_python(adapter, environment))
    return found


def _repository(adapter: Adapter, environment: Environment) -> Finding:
    record, repo = adapter.record, environment.repo
    if not repo.is_dir():
        return Finding("repository", False, f"{repo} is no folder; clone {record.repository or 'the code'} there")
    if record.entry and not (repo / record.entry).is_file():
        return Finding("repository", False, f"{repo} holds no {record.entry}; is it {record.repository}?")
    if (prepared := read_prepared(repo)) is not None:
        same = prepared == prepared_facts(record)
        return Finding(
            "repository",
            same,
            f"{repo}: {'copy of ' + record.commit[:12] + ' with this adapter’s patches' if same else 'was prepared for another commit or other patches: run `lipsync-eval baselines prepare` again'}",
        )
    if not record.commit:
        return Finding("repository", True, f"{repo}")
    done = head(repo)
    hint = (
        f"; current versions of its dependencies need `lipsync-eval baselines prepare {record.name}`"
        if record.patches
        else ""
    )
    if done is None:
        return Finding(
            "repository",
            True,
            f"{repo} is no git checkout: its commit cannot be told; the adapter was made for {record.commit[:12]}{hint}",
        )
    if done != record.commit:
        return Finding(
            "repository",
            False,
            f"{repo} is at {done[:12]}, the adapter was made for {record.commit[:12]}: git checkout {record.commit[:12]}",
        )
    return Finding("repository", True, f"{repo} at {done[:12]}{hint}")


def _weight(environment: Environment, weight: Weights) -> Finding:
    place = environment.options.get(weight.option, weight.file)
    file, expected = place or weight.option, weight.sha256
    if not place:
        return Finding(
            f"weights {file}", False, f"set {file} under [{environment.name}.options] in baselines.toml: {weight.where}"
        )
    path = environment.repo / place
    if path.is_dir():
        return Finding(f"weights {file}", True, f"{path} (a folder, not hashed)")
    if not path.is_file():
        return Finding(f"weights {file}", False, f"{path} is missing; get it from {weight.where}")
    digest = sha256(path)
    if expected and digest != expected:
        return Finding(
            f"weights {file}", False, f"{path} has sha256 {digest}, expected {expected}: another or a damaged file"
        )
    return Finding(
        f"weights {file}", True, f"{path} sha256 {digest[:16]}{'' if expected else ' (unverified: no hash is known)'}"
    )


def _python(adapter: Adapter, environment: Environment) -> Finding:
    imports = list(adapter.record.imports)
    cuda = environment.device != "cpu"
    if not cuda and (why := why_no_cpu(adapter.record, environment.repo)):
        return Finding("device", False, why)
    code = "import sys, importlib\nfor m in sys.argv[1:]:\n    importlib.import_module(m)\n"
    if cuda:
        code += "import torch\nassert torch.cuda.is_available(), 'torch sees no CUDA device'\n"
    code += "print(sys.version.split()[0])\n"
    with tempfile.TemporaryDirectory(prefix="lipsync_check_") as work:
        line = [*environment.interpreter(Path(work), environment.repo, environment.env), "-c", code, *imports]
        done = _run(line, environment)
    if isinstance(done, Exception):
        return Finding("python", False, f"{line[0]} cannot be run ({done})")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("python", False, f"{line[0]}: {last}")
    return Finding(
        "python",
        True,
        f"{line[0]} {done.stdout.strip()}{', imports ' + ', '.join(imports) if imports else ''}{', CUDA there' if cuda else ''}",
    )


def _run(line: list[str], environment: Environment) -> subprocess.CompletedProcess[str] | Exception:
    try:
        return subprocess.run(
            line,
            cwd=environment.repo if environment.repo.is_dir() else None,
            capture_output=True,
            text=True,
            timeout=300,
            errors="replace",
            env={**os.environ, **environment.env},
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return error

"""baselines.toml: where each generator's code and environment are.

    [wav2lip]
    repo = "/models/Wav2Lip"
    python = "/models/envs/wav2lip/bin/python"     # or conda = "wav2lip", or container = "image:tag" (docker; engine = "podman");
                                                   # without any: the interpreter that runs lipsync-eval
    device = "cuda:0"                              # cpu | cuda | cuda:N
    timeout = 3600                                 # seconds a clip
    memory_gb = 32                                 # of all its processes together
    retries = 1
    [wav2lip.options]
    checkpoint = "checkpoints/wav2lip_gan.pth"

A private model is a table with `command` instead (see template.py).
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipsync_eval.errors import ParseError
from lipsync_eval.files import read_toml

_KEYS: dict[str, type | tuple[type, ...]] = {
    "repo": str,
    "python": str,
    "conda": str,
    "container": str,
    "engine": str,
    "device": str,
    "timeout": (int, float),
    "memory_gb": (int, float),
    "retries": int,
    "options": dict,
    "command": list,
    "title": str,
    "licence": str,
    "paper": str,
    "fps": str,
    "resolution": str,
    "reference": str,
    "needs": list,
    "env": dict,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One generator's place to run."""

    name: str
    repo: Path
    python: str | None
    conda: str | None
    container: str | None
    engine: str
    device: str
    timeout: float
    memory_gb: float | None
    retries: int
    options: Mapping[str, str]
    env: Mapping[str, str]
    template: Mapping[str, Any]
    """The table itself, for a private model."""

    def interpreter(self, work: Path, cwd: Path, variables: Mapping[str, str]) -> tuple[str, ...]:
        """The start of a command line that runs Python there.

        Args:
            work: the job's folder; its name becomes the container's.
            cwd: where the command runs.
            variables: environment variables, which a container does not inherit.
        """
        if self.python is not None:
            return (self.python,)
        if self.conda is not None:
            return ("conda", "run", "--no-capture-output", "-n", self.conda, "python")
        if self.container is not None:
            gpu = (
                () if self.device == "cpu" else ("--gpus", "all")
            )  # CUDA_VISIBLE_DEVICES chooses, with the host's numbers
            mounts = ("-v", f"{self.repo}:{self.repo}", "-v", f"{work}:{work}", "-w", str(cwd))
            given = tuple(part for name, value in variables.items() for part in ("-e", f"{name}={value}"))
            return (
                self.engine,
                "run",
                "--rm",
                "--init",
                "--name",
                work.name,
                "--network",
                "none",
                *gpu,
                *mounts,
                *given,
                self.container,
                "python",
            )
        return (sys.executable,)

    def stop_container(self, work: Path) -> None:
        """Remove the job's container: ending the client does not end what the engine runs."""
        if self.container is not None:
            try:
                subprocess.run([self.engine, "rm", "-f", work.name], capture_output=True, timeout=60, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                logging.getLogger("lipsync_eval").warning("the container %s cannot be removed: %s", work.name, error)


def read_environments(path: Path) -> dict[str, Environment]:
    """All tables of a baselines.toml.

    Raises:
        ParseError: missing, not TOML, an unknown key or a value of the wrong type; says where.
    """
    try:
        data = read_toml(path)
    except ParseError as error:
        raise ParseError(
            f"{error}; it says where each generator's code and environment are (docs/baselines.md)"
        ) from error
    return {name: _environment(path, name, table) for name, table in data.items()}


def own_environment(name: str, folder: Path) -> Environment:
    """Where a generator of this package runs that no baselines.toml names: in this interpreter, from `folder`."""
    return _environment(folder / "baselines.toml", name, {})


def _environment(path: Path, name: str, table: Any) -> Environment:
    if not isinstance(table, dict):
        raise ParseError(f"{path}: {name}: expected a table, [{name}]")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ParseError(
            f"{path}: {name!r}: a generator's name has letters, digits, '-' and '_' only: it becomes a folder"
        )
    for key, value in table.items():
        if key not in _KEYS or not isinstance(value, _KEYS[key]):
            raise ParseError(f"{path}: [{name}] {key}: unknown or of the wrong type; known: {', '.join(_KEYS)}")
    if sum(k in table for k in ("python", "conda", "container")) > 1:
        raise ParseError(f"{path}: [{name}]: give one of python, conda, container")
    device = table.get("device", "cpu")
    if device not in {"cpu", "cuda"} and not (device.startswith("cuda:") and device[5:].isdigit()):
        raise ParseError(f"{path}: [{name}] device {device!r}: expected cpu, cuda or cuda:N")
    timeout = float(table.get("timeout", 3600))
    if timeout <= 0 or not 0 <= table.get("retries", 0) <= 10:
        raise ParseError(f"{path}: [{name}]: timeout must be above 0, retries 0 to 10")
    repo = Path(table.get("repo", "."))
    return Environment(
        name=name,
        repo=repo if repo.is_absolute() else (path.parent / repo).resolve(),
        python=_program(path, table.get("python")),
        conda=table.get("conda"),
        container=table.get("container"),
        engine=table.get("engine", "docker"),
        device=device,
        timeout=timeout,
        memory_gb=table.get("memory_gb"),
        retries=table.get("retries", 0),
        options={k: str(v) for k, v in table.get("options", {}).items()},
        env={k: str(v) for k, v in table.get("env", {}).items()},
        template=table,
    )


def _program(path: Path, python: str | None) -> str | None:
    """An interpreter with a folder in its name is found from the folder of baselines.toml; links are kept (a venv's python is one)."""
    return str(path.parent.absolute() / python) if python is not None and "/" in python else python

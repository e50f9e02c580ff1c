"""The package as it is installed: complete, cheap to import, quiet."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_package_is_listed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"])
    found = set()
    for init in (ROOT / "lipsync_eval").rglob("__init__.py"):
        found.add(".".join(init.parent.relative_to(ROOT).parts))
    for shelf in ("protocols", "baselines", "reports"):
        for init in (ROOT / shelf).rglob("__init__.py"):
            found.add("lipsync_eval." + ".".join(init.parent.relative_to(ROOT).parts))
    assert found == listed


def test_import_is_cheap_and_quiet() -> None:
    code = (
        "import sys, lipsync_eval; print(sorted({'torch', 'cv2', 'numpy', 'av', 'dlib', 'skimage'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from lipsync_eval.cli import run; code = run(['-h']); "
        "print(code, sorted({'torch', 'cv2', 'av', 'dlib', 'skimage', 'scipy', 'pandas', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lipsync-eval score gen/ gt/" in done.stdout
    assert done.stderr == "0 []\n"


def test_listing_metrics_imports_no_heavy_library() -> None:
    code = (
        "import sys; from lipsync_eval.cli import run; code = run(['list']); "
        "print(code, sorted({'torch', 'cv2', 'dlib', 'skimage', 'scipy', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "psnr" in done.stdout
    assert done.stderr == "0 []\n"


def test_every_command_has_help_with_an_example() -> None:
    from click.testing import CliRunner

    from lipsync_eval.cli import _COMMANDS, cli

    for name in _COMMANDS:
        done = CliRunner().invoke(cli, [name, "-h"])
        assert done.exit_code == 0, (name, done.output)
        assert "Usage: " in done.output
        assert "lipsync-eval" in done.output, f"{name} -h shows no example"


def test_version_is_stated_once() -> None:
    import lipsync_eval

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == lipsync_eval.__version__
    assert f"version: {lipsync_eval.__version__}" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_no_machine_path_and_no_assert_in_the_library() -> None:
    import ast

    for folder in ("lipsync_eval", "protocols", "baselines", "reports"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            assert "/work/" not in text, path
            for node in ast.walk(ast.parse(text)):
                assert not isinstance(node, ast.Assert), f"{path}:{node.lineno}"

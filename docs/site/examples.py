"""Runs what the documents show: a page's Python examples, and the tutorial's cells with what they print.

`python docs/site/examples.py docs/tutorial.ipynb` runs the tutorial in an empty folder and writes its outputs into it.
No Jupyter is needed: a cell prints, ends with a value, or leaves a pyplot figure open.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
PAGES = {"python.md": r"```python\n(.*?)```", "metrics/adding.md": r"```python title=[^\n]*\n(.*?)```"}
"""Page -> which of its examples run, in order, in one process, in a folder with the demo's clips."""
_DPI = 70


@contextmanager
def empty_folder() -> Iterator[Path]:
    """A new folder, entered for the time; pyplot draws without a screen."""
    import matplotlib

    matplotlib.use("agg")
    with tempfile.TemporaryDirectory() as name, chdir(name):
        yield Path(name)


def run_page(page: str) -> dict[str, Any]:
    """Run a page's examples in the current folder, which holds demo/; what they print is dropped.

    Returns:
        the names that they leave.

    Raises:
        whatever an example raises.
    """
    space: dict[str, Any] = {"__name__": "__example__"}
    found = re.findall(PAGES[page], (DOCS / page).read_text("utf-8"), re.DOTALL)
    if not found:
        raise LookupError(f"docs/{page} has no example")
    with redirect_stdout(io.StringIO()):
        for code in found:
            exec(compile(code, page, "exec"), space)  # noqa: S102  (our own documents)
    return space


def run_cells(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Run a notebook's code cells in the current folder; each one's outputs in the notebook format 4.

    Args:
        notebook: read from .ipynb; not changed.

    Raises:
        whatever a cell raises.
    """
    space: dict[str, Any] = {"__name__": "__example__"}
    return [_cell("".join(c["source"]), space, i) for i, c in enumerate(notebook["cells"]) if c["cell_type"] == "code"]


def _cell(source: str, space: dict[str, Any], number: int) -> list[dict[str, Any]]:
    tree, value, printed = ast.parse(source), None, io.StringIO()
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(printed):
        exec(compile(tree, f"<cell {number}>", "exec"), space)  # noqa: S102  (our own documents)
        if last is not None:
            value = eval(compile(last, f"<cell {number}>", "eval"), space)  # noqa: S307
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append(
            {"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(keepends=True)}
        )
    outputs += [_image(png) for png in _figures()]
    if hasattr(value, "_repr_png_"):
        outputs.append(_image(value._repr_png_()))
    elif value is not None and not source.rstrip().endswith(";"):
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        outputs.append({"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data})
    return outputs


def _image(png: bytes) -> dict[str, Any]:
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": ["(an image)"]}
    return {"output_type": "display_data", "metadata": {}, "data": data}


def _figures() -> list[bytes]:
    """The open pyplot figures as PNG; they are closed, as Jupyter does after a cell."""
    plt = sys.modules.get("matplotlib.pyplot")
    if plt is None:
        return []
    found = []
    for number in plt.get_fignums():
        buffer = io.BytesIO()
        plt.figure(number).savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
        found.append(buffer.getvalue())
    plt.close("all")
    return found


def texts(outputs: list[dict[str, Any]]) -> str:
    """What a cell printed and its value, as text; images left out."""
    parts = [o["text"] if o["output_type"] == "stream" else o["data"].get("text/plain", []) for o in outputs]
    return "".join("".join(p) for p in parts)


def as_markdown(notebook: dict[str, Any], outputs: list[list[dict[str, Any]]]) -> str:
    """The notebook as a page: its words, its code, and these outputs."""
    rest, lines = iter(outputs), []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            lines.append(source + "\n")
            continue
        lines.append(f"```python\n{source}\n```\n")
        for one in next(rest):
            image = one.get("data", {}).get("image/png")
            lines.append(
                f"![output](data:image/png;base64,{image})\n" if image else f"```text\n{texts([one]).rstrip()}\n```\n"
            )
    return "\n".join(lines)


def main(path: Path) -> None:
    """Run a notebook and write its outputs into it."""
    notebook = json.loads(path.read_text("utf-8"))
    with empty_folder():
        outputs = run_cells(notebook)
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    for count, (cell, found) in enumerate(zip(code, outputs, strict=True), 1):
        cell["outputs"], cell["execution_count"] = found, count
        for one in found:
            if one["output_type"] == "execute_result":
                one["execution_count"] = count
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

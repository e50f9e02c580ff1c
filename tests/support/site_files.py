"""Files of docs/site as modules: they are no package, and MkDocs is not needed for them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parents[2] / "docs"


def loaded(name: str) -> ModuleType:
    """docs/site/NAME.py, imported once."""
    known = f"docs_site_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, DOCS / "site" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[known]

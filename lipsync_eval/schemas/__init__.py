"""JSON Schemas of the files that users write, read or keep: for editors, validators and other languages.

Each is a file beside this one. Those of results, baselines and histories are made from the models that read them (`made`; a test
compares), those of the two tables describe one line.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final

from lipsync_eval.errors import UsageError
from lipsync_eval.registry import no_such

SCHEMAS: Final = {
    "results": "results.json, which `score` writes",
    "baseline": "the small file that `gate --update` writes",
    "history": "history.json, which `watch` writes",
    "pairs": "one line of the CSV of `score --pairs`",
    "manifest": "one line of the CSV of `baselines run` and `compare --data`",
}
"""Name -> what the schema describes."""


def schema(name: str) -> dict[str, Any]:
    """One JSON Schema (draft 2020-12).

    Raises:
        UsageError: there is no schema of this name.
    """
    if name not in SCHEMAS:
        raise UsageError(no_such("schema", name, SCHEMAS))
    text = resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found

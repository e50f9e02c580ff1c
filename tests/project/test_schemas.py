"""The JSON Schemas in the package describe what the models read and what the commands write.

`python tests/project/test_schemas.py` writes those of results, baselines and histories anew after a model changed.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lipsync_eval import schemas
from lipsync_eval.baselines.manifest import ManifestEntry
from lipsync_eval.errors import UsageError
from lipsync_eval.media.table import COLUMNS
from lipsync_eval.results.history import History
from lipsync_eval.results.schema import Result

FOLDER = Path(schemas.__file__).parent
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def made(name: str) -> dict[str, Any]:
    """The schema of what is in the file, from the model that reads it."""
    model = History if name == "history" else Result
    found = model.model_json_schema(mode="validation" if name == "baseline" else "serialization")
    return {"$schema": DRAFT, **found, "title": f"lipsync-eval {name}", "description": schemas.SCHEMAS[name]}


@pytest.mark.parametrize("name", ["results", "baseline", "history"])
def test_the_file_is_the_model(name: str) -> None:
    assert schemas.schema(name) == made(name), "python tests/project/test_schemas.py writes it anew"


def test_manifest_columns_are_those_that_are_read() -> None:
    columns = schemas.schema("manifest")
    fields = dataclasses.fields(ManifestEntry)
    assert list(columns["properties"]) == [f.name for f in fields]
    assert columns["required"] == ["id", "video", "audio"] and columns["additionalProperties"] is False


def test_pairs_columns_are_those_that_are_read() -> None:
    columns = schemas.schema("pairs")
    assert list(columns["properties"]) == list(COLUMNS) and columns["required"] == ["gen", "gt"]


def test_unknown_names_are_refused_with_near_ones() -> None:
    with pytest.raises(UsageError, match="results"):
        schemas.schema("result")


@pytest.mark.parametrize("name", schemas.SCHEMAS)
def test_command_prints_json(name: str) -> None:
    done = subprocess.run([sys.executable, "-m", "lipsync_eval", "schema", name], capture_output=True, text=True)
    assert done.returncode == 0 and json.loads(done.stdout) == schemas.schema(name)


if __name__ == "__main__":
    for each in ("results", "baseline", "history"):
        (FOLDER / f"{each}.json").write_text(json.dumps(made(each), indent=1) + "\n", "utf-8")

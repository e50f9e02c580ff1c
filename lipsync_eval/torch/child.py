"""The process that `BackgroundScore` starts: one run, described by one JSON argument."""

from __future__ import annotations

import json
import sys

from lipsync_eval.engine.score import score
from lipsync_eval.errors import LipsyncError
from lipsync_eval.types import Settings


def main(text: str) -> int:
    """Score as asked; 3 where some clips failed, 2 where nothing was done."""
    asked = json.loads(text)
    try:
        result = score(
            asked["gen"],
            asked["gt"],
            metrics=asked["metrics"],
            settings=Settings(**asked["settings"]),
            out=asked["out"],
            workers=asked["workers"],
            threads=asked["threads"],
            name=asked["name"],
            overwrite=True,
        )
    except LipsyncError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 3 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""Where the golden numbers of AV-HuBERT are. They were made with code under a research licence and stay outside the project."""

import os
from pathlib import Path

import numpy as np
import pytest

_root = os.environ.get("LIPSYNC_EVAL_TEST_DATA")
GOLDEN = Path(_root) / "golden" / "avhubert" if _root else Path("absent")
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="set LIPSYNC_EVAL_TEST_DATA to a folder with golden/avhubert (numbers of the official code; not shipped)"
)
TINY = GOLDEN / "A_finetuned" / "avhubert_tiny_finetuned.pt"


def arrays(name):
    """Arrays of one golden .npz by name."""
    with np.load(GOLDEN / name) as file:
        return {key: file[key] for key in file.files}

"""PersonaTalk (Zhang et al., SIGGRAPH Asia 2024): no public code, published numbers only."""

from __future__ import annotations

from lipsync_eval.baselines.base import Adapter, Record

ADAPTER = Adapter(
    record=Record(
        name="personatalk",
        title="PersonaTalk",
        repository="",
        commit="",
        licence="not released",
        paper="arXiv:2409.05379",
        python="",
        torch="",
        weights=(),
        imports=(),
        entry="",
        gpu=True,
        fps="25",
        resolution="256x256 in its evaluation",
        audio="",
        needs=("no public code",),
        options={},
        checked="no code was found; its tables are in `list published` under personatalk",
    ),
    command=None,
)

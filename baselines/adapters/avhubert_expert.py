"""The AV-HuBERT-expert generator (Yaman et al., CVPRW 2024): no public code, published numbers only."""

from __future__ import annotations

from lipsync_eval.baselines.base import Adapter, Record

ADAPTER = Adapter(
    record=Record(
        name="avhubert_expert",
        title="Audio-Visual Speech Representation Expert",
        repository="",
        commit="",
        licence="not released",
        paper="arXiv:2405.04327",
        python="",
        torch="",
        weights=(),
        imports=(),
        entry="",
        gpu=True,
        fps="25",
        resolution="96x96 face",
        audio="16 kHz",
        needs=("no public code",),
        options={},
        checked="no code was found; its tables are in `list published` under avhubert-expert",
    ),
    command=None,
)

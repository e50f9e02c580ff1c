from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lipsync_eval.prefetch import prefetch


def test_order_is_kept() -> None:
    with prefetch(iter(range(100))) as items:
        assert list(items) == list(range(100))


def test_an_error_comes_in_its_place() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"), prefetch(broken()) as items:
        assert next(items) == 1
        next(items)


def test_leaving_early_leaves_no_thread() -> None:
    before = threading.active_count()
    with prefetch(iter(range(10**9))) as items:
        assert next(items) == 0
    assert threading.active_count() == before


def test_it_stays_one_ahead() -> None:
    made: list[int] = []

    def slow() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            yield i

    with prefetch(slow()) as items:
        next(items)
        assert len(made) <= 4

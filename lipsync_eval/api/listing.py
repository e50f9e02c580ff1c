"""What there is, by name."""

from __future__ import annotations

from lipsync_eval.metrics.base import MetricSpec
from lipsync_eval.metrics.registry import get_spec, specs


def list_metrics(group: str | None = None) -> tuple[str, ...]:
    """All metric ids, plug-ins too, in the order in which tables print them.

    Args:
        group: only those of 'core' (no download), 'weights', 'user-file' or 'opt-in'.
    """
    return tuple(name for name, spec in specs().items() if group is None or spec.group == group)


def get_metric(name: str) -> MetricSpec:
    """All that is declared about one metric: title, direction, unit, range, summary, citation...

    Raises:
        UsageError: no such metric; near names are in the message.
    """
    return get_spec(name)


def list_protocols() -> tuple[str, ...]:
    """Names of all crop protocols, plug-ins too."""
    from lipsync_eval import protocols

    return tuple(protocols.names())

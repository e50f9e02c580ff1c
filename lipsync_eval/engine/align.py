"""What to do with a pair of unlike length: an explicit policy, never a silent cut."""

from __future__ import annotations

from lipsync_eval.align import Align
from lipsync_eval.errors import AlignmentError


def common_length(n_gen: int, n_gt: int, align: Align) -> tuple[int, str | None]:
    """Frames at 25 fps that both videos have under the policy, and a note when something was cut.

    Raises:
        AlignmentError: the lengths differ by more than the policy allows.
    """
    n, extra = min(n_gen, n_gt), abs(n_gen - n_gt)
    if not extra:
        return n, None
    if align.limit is not None and extra > align.limit:
        raise AlignmentError(
            f"the generated video has {n_gen} frames at 25 fps, the real one {n_gt}: {extra} apart, {align.limit} allowed by "
            f"--align {align.text}; check the pair, or cut on purpose with --align trim:{extra} or --align shortest"
        )
    longer = "generated" if n_gen > n_gt else "real"
    return n, f"the {longer} video was {extra} frames longer: its end was cut to {n} frames (--align {align.text})"

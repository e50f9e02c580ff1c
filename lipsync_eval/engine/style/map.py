"""Style codes of many clips, and where t-SNE puts them on a plane (as in PersonaTalk's figure 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipsync_eval.errors import UsageError
from lipsync_eval.features.style.code import window_codes
from lipsync_eval.features.style.constants import load as load_constants
from lipsync_eval.features.style.corpus import Sequence52or68
from lipsync_eval.features.tsne import tsne
from lipsync_eval.types import Float, Settings

Coder = Callable[[Sequence52or68], Float]
"""A clip -> (W, K) codes of its W windows."""


@dataclass(frozen=True, slots=True)
class StyleMap:
    """Codes on a plane."""

    places: Float
    """(N, 2)."""
    owners: tuple[tuple[str, bool], ...]
    """For each code: the speaker, and whether the video is a generated one."""

    @property
    def n_speakers(self) -> int:
        """How many people there are."""
        return len({speaker for speaker, _ in self.owners})


def map_styles(
    coder: Coder, real: Sequence[Sequence52or68], generated: Sequence[Sequence52or68], perplexity: float
) -> StyleMap:
    """Codes of all clips, scaled to length 1, placed by t-SNE.

    Args:
        coder: from statistics_coder or encoder_coder.
        real: clips of real videos.
        generated: clips of generated ones, of the same speakers.
        perplexity: t-SNE's effective number of neighbours.
    """
    codes = [coder(s) for s in (*real, *generated)]
    owners = [(s.recording.speaker, k >= len(real)) for k, s in enumerate((*real, *generated)) for _ in codes[k]]
    stacked = np.concatenate(codes)
    unit = stacked / np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), 1e-12)
    return StyleMap(tsne(unit, perplexity), tuple(owners))


def statistics_coder(settings: Settings, features: str, window: int, hop: int) -> Coder:
    """Codes as StyleSim makes them, standardised with its constants.

    Args:
        settings: where constants of one's own are named.
        features: 'points68' or 'blendshapes'.
        window, hop: frames in one code, and from one code to the next.
    """
    constants = load_constants(settings, features)
    return lambda s: constants.standardise(window_codes(constants.sequence(s.raw, s.index), s.index, window, hop))


def encoder_coder(path: Path, features: str, window: int, hop: int) -> Coder:
    """Codes of 128 numbers by an encoder that `style train` wrote; arguments as in statistics_coder.

    Raises:
        UsageError: it was trained on other features.
    """
    from lipsync_eval.features.style.training import load

    trained = load(path)
    if trained.constants.features != features:
        raise UsageError(
            f"{path} was trained on {trained.constants.features}; give --features {trained.constants.features}"
        )

    def codes(s: Sequence52or68) -> Float:
        starts = range(0, max(len(s.index) - window, 0) + 1, hop)
        return np.stack([trained.style(s.part(start, start + window)) for start in starts])

    return codes

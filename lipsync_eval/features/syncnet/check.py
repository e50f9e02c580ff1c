"""SyncNet's known answer: the example that syncnet_python publishes with its result (`weights verify syncnet`)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from lipsync_eval.errors import WeightsError
from lipsync_eval.features.syncnet import net as syncnet_net
from lipsync_eval.features.syncnet.regions import whole
from lipsync_eval.features.syncnet.side_scorer import SideScorer
from lipsync_eval.features.syncnet.track_scorer import Reading, read
from lipsync_eval.files import sha256
from lipsync_eval.media import open_clip
from lipsync_eval.types import Settings
from lipsync_eval.weights import locate, weights_cache_dir

URL: Final = "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/example.avi"
SHA256: Final = "1724121b3a50141cfc9e77c034f7de914024d015b92762ae12d3e1a7151b8621"
OFFSET: Final = 3
DISTANCE: Final = 5.353
CONFIDENCE: Final = 10.021
TOLERANCE: Final = 0.3
"""The published figures went through ffmpeg's JPEG; nobody has measured yet how far ours lie from them."""


def check(settings: Settings, name: str, clip: Path | None) -> list[str]:
    """Load the network, and score the published example when it is there.

    Args:
        settings: weights, device.
        name: 'syncnet'.
        clip: example.avi; None: looked for in the user's weights folder.

    Returns:
        what was found; where the clip is missing, what to fetch.

    Raises:
        RefusedCheckpoint: the file does not fit the network.
        WeightsError: another clip, or the answer is not the published one.
    """
    file = locate(settings, name, role="syncnet")
    net = syncnet_net.load(file.path, file.sha256, settings.device)
    said = [f"{file.path.name}: fits the network"]
    path = clip or weights_cache_dir() / "example.avi"
    if clip is None and not path.is_file():
        return [
            *said,
            f"the known-answer check was not run: fetch {URL} (sha256 {SHA256[:16]}..., 1111536 bytes) and repeat with --clip FILE",
        ]
    if (found := sha256(path)) != SHA256:
        raise WeightsError(
            f"{path} is not the published example: its sha256 is {found}, expected {SHA256}; fetch {URL}"
        )
    plain, jpeg = _score(net, path, lossy=False), _score(net, path, lossy=True)
    said += [_say("lossless", plain), _say("through JPEG, as upstream", jpeg)]
    judge(plain, jpeg)
    return [
        *said,
        f"the published answer is offset {OFFSET}, min dist {DISTANCE}, confidence {CONFIDENCE}: agrees within {TOLERANCE}",
    ]


def judge(plain: Reading, jpeg: Reading) -> None:
    """Compare with the published answer: the offset exactly on both ways, the two figures on the way through JPEG.

    Raises:
        WeightsError: it differs.
    """
    near = abs(jpeg.distance - DISTANCE) <= TOLERANCE and abs(jpeg.confidence - CONFIDENCE) <= TOLERANCE
    if {plain.offset, jpeg.offset} != {OFFSET} or not near:
        raise WeightsError(
            f"the known-answer check failed: expected offset {OFFSET}, min dist {DISTANCE}, confidence {CONFIDENCE} (within {TOLERANCE}); "
            f"found {_say('lossless', plain)}; {_say('through JPEG', jpeg)}. Are these the official weights?"
        )


def _score(net: syncnet_net.Folded, path: Path, *, lossy: bool) -> Reading:
    clip = open_clip(path)
    samples = clip.audio.int16() if clip.audio is not None else np.zeros(0, np.int16)
    scorer = SideScorer(net, whole(clip.n_frames), samples, lossy=lossy)
    for number, frame in enumerate(clip.frames()):
        scorer.update(number, [frame])
    return read(scorer.finish()[0].distances)


def _say(how: str, reading: Reading) -> str:
    return f"{how}: offset {reading.offset}, min dist {reading.distance:.3f}, confidence {reading.confidence:.3f}"

"""A linear map from the mouth's shape over time to the loudness of mel bands, and how well a video agrees with its audio.

Ours. The map is a ridge regression fitted on real clips and shipped as constants (constants.json); nothing is trained at
run time. The idea that visible speech predicts the short-time spectrum linearly: Yehia, Rubin, Vatikiotis-Bateson,
Quantitative association of vocal-tract and facial behavior, Speech Communication 26, 1998.

1. `mouth_series`: eight measures of mouth and chin in every frame, after a similarity that puts nose and eye corners on
   a mean face. Standardised over the clip: whose mouth it is does not enter.
2. `mel_series`: 16 mel bands in dB for every frame, standardised over the clip: how loud the recording is does not enter.
3. `Constants.predict`: five frames of (1) give the 16 bands of (2).
4. `agreement`: correlation of (3) with (2) over all frames and bands, at every shift of the audio.
5. `certainty`: how surely the best shift is better than every other one.
"""

from lipsync_eval.features.mouth_mel.agreement import SHIFT, Curve, agreement, certainty
from lipsync_eval.features.mouth_mel.constants import Constants, fit, read, shipped, write
from lipsync_eval.features.mouth_mel.measure import QUIETEST, Found, measure
from lipsync_eval.features.mouth_mel.series import LEAST, mel_series, mouth_series, prepared

__all__ = [
    "LEAST",
    "QUIETEST",
    "SHIFT",
    "Constants",
    "Curve",
    "Found",
    "agreement",
    "certainty",
    "fit",
    "measure",
    "mel_series",
    "mouth_series",
    "prepared",
    "read",
    "shipped",
    "write",
]

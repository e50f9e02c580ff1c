"""AV-HuBERT: official checkpoints without fairseq, its two front ends, features of clips, and a lip-sync loss.

The weights are for non-commercial research (Meta's AV-HuBERT licence). How to use it: docs/avhubert.md.
"""

from lipsync_eval.features.avhubert.audio import audio_input, log_filter_banks
from lipsync_eval.features.avhubert.checkpoint import LICENCE, load
from lipsync_eval.features.avhubert.config import BASE, LARGE, AVHuBERTConfig
from lipsync_eval.features.avhubert.extract import DTYPES, Extractor, features
from lipsync_eval.features.avhubert.loss import VARIANTS, avs_loss, clip_similarity, similarity_loss
from lipsync_eval.features.avhubert.model import AVHuBERT
from lipsync_eval.features.avhubert.roi import Mouths, cut_mouth, locate_mouths, mouth_roi, sample_mouths
from lipsync_eval.features.avhubert.splice import front_end, spliced
from lipsync_eval.features.avhubert.video import gray, video_input, video_tensor

__all__ = [
    "BASE",
    "DTYPES",
    "LARGE",
    "LICENCE",
    "VARIANTS",
    "AVHuBERT",
    "AVHuBERTConfig",
    "Extractor",
    "Mouths",
    "audio_input",
    "avs_loss",
    "clip_similarity",
    "cut_mouth",
    "features",
    "front_end",
    "gray",
    "load",
    "locate_mouths",
    "log_filter_banks",
    "mouth_roi",
    "sample_mouths",
    "similarity_loss",
    "spliced",
    "video_input",
    "video_tensor",
]

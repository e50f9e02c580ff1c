"""Files in and out: video or folder of images -> Clip, who is compared with whom, and writing video."""

from lipsync_eval.media.clip import open_clip
from lipsync_eval.media.pairing import Pairing, PairPaths, find_pairs

__all__ = ["PairPaths", "Pairing", "find_pairs", "open_clip"]

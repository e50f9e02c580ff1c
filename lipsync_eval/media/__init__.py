"""Files in and out: video or folder of images -> Clip, who is compared with whom, and writing video."""

from lipsync_eval.media.audio import has_audio
from lipsync_eval.media.clip import open_clip
from lipsync_eval.media.pairing import Pairing, find_pairs
from lipsync_eval.media.pairs import PairPaths
from lipsync_eval.media.writer import write_video

__all__ = ["PairPaths", "Pairing", "find_pairs", "has_audio", "open_clip", "write_video"]

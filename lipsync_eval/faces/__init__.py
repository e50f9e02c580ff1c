"""Faces: Clip -> Track (boxes and 68 points of one person). One file per backend."""

from lipsync_eval.faces.backends import Backend, backends
from lipsync_eval.faces.track import signature, track_faces

__all__ = ["Backend", "backends", "signature", "track_faces"]

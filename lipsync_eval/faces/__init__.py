"""Faces: Clip -> Track (boxes and 68 points of one person). One file per backend."""

from lipsync_eval.faces.backends import Backend, backends
from lipsync_eval.faces.track import People, signature, track_faces, track_people

__all__ = ["Backend", "People", "backends", "signature", "track_faces", "track_people"]

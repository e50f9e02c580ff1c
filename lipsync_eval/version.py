"""The version of this package, and of its reading of files, as in signatures and results."""

__version__ = "0.1.0"

READING = 2
"""Version of how files become frames and audio (docs/media.md): +1 whenever a frame or a sample may move.

It stands in every signature (`media:2`) and in every cache key, so that metrics need not raise theirs for it.
"""

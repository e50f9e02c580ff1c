"""Prepared training data: alignment, audio features, shards, windows."""

"""Metrics: one family per file, found through `registry`."""

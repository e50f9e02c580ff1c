"""Scores for other programs: trackers, tables, model cards. Every value goes with its signature."""

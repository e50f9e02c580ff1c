"""Dubbing with both stages, and style codes of videos."""

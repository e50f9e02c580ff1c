"""Dubbing with G or P."""

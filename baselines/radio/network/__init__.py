"""RADIO's networks."""

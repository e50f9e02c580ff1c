"""Faces as vertices: topologies, providers, the fit, and PNCC images."""

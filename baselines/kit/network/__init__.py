"""Layers and networks that several generators share."""

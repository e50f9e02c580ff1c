"""Frechet video distance: the readings of public codes, each under an id of its own."""

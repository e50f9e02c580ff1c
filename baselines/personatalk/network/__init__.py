"""The networks of both stages."""

"""The version of this package, as in signatures and results."""

__version__ = "0.1.0"

"""The trained generator ready for use."""

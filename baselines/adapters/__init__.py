"""One generator a file; each has an ADAPTER."""

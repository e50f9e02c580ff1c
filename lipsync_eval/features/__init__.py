"""Neural extractors, one a file or folder."""

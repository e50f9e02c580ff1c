"""What single families are made of: one file serves one family, or several (frames)."""

"""How StyleSync's training data are made and read."""

"""How RADIO's training data are made and read."""

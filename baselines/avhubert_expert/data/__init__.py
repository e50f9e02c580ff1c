"""How its training data are cut and heard."""

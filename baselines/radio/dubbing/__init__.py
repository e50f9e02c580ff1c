"""RADIO's generator in use: dubbing, attention figures, robustness against the reference."""

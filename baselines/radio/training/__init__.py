"""RADIO's generator and its sync discriminator in training."""

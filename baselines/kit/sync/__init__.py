"""Training of a sync discriminator, whatever its network."""

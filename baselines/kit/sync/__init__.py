"""Training of a sync discriminator, whatever its network, and its use as a metric."""

"""Losses, the training loop, checkpoints, several processes."""

"""What both stages are shown."""

"""What every metric must keep to, and how that is tried out."""

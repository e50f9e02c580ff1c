"""Pure functions on arrays: what the motion families measure with."""

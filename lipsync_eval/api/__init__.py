"""Plain functions for Python users: arrays in, numbers out. `lipsync_eval` offers them by name."""

"""How far every metric moves when a clip is scored against damaged copies of itself."""

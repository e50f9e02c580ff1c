"""Speaking styles of many clips: a map of them, and an encoder of one's own."""

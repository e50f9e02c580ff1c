"""SyncNet: network, face tracks as its pipeline makes them, distances of lips and audio, and what they amount to."""

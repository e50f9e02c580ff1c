"""StyleSync's networks, its sync network, and the baseline Wav2Lip-H."""

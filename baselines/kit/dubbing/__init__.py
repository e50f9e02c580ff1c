"""New audio for a video, whatever the generator."""

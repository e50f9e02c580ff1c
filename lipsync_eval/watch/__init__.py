"""Scores beside a training that knows nothing of them: every new checkpoint of a folder is dubbed with and scored."""

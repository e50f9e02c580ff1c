"""Plan a run, measure its clips, put the numbers together."""

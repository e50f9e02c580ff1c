"""Reads results.json of runs; makes tables, pages, plots and the regression gate. Never imports torch."""

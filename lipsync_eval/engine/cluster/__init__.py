"""A run on many machines by Dask. Nothing here is imported unless --scheduler or --cluster is given."""

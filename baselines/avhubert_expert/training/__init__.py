"""Its generator and its lip expert in training."""

"""The networks of the AV-HuBERT-expert generator."""

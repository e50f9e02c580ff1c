"""The qualitative figure of one clip: methods as rows, moments as columns."""

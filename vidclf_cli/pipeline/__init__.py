"""The run: find, read, embed, classify, one row per video."""

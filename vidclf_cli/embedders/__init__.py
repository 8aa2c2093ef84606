"""Turn what was read of a video into vectors."""

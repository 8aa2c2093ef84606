"""Text about a video: sidecars, container tags, file names."""

"""Read video files: few packets, in isolated processes."""

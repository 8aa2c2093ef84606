"""Tag a folder of videos: the shipped package, without torch."""

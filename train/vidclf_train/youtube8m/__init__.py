"""YouTube-8M (May 2018), video-level features: fetch it, read it without TensorFlow, make a dataset of it."""

"""A trained run on disk, and what it predicts."""

"""A trained run on disk, and its predictions."""

"""Landmark file formats: one module each, and `files` for any format."""

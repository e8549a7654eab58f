"""Landmark file formats, one file each: positions as the file has them, and the frame it says."""

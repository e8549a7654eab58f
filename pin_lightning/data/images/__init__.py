"""Image files: headers, voxels, and what is refused."""

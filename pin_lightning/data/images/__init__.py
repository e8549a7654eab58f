"""Reading image files: headers, voxels, validation."""

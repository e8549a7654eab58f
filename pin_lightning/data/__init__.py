"""Reading data sets: image and landmark files, checks, splits, working volumes."""

"""Standard planes: through which landmarks they go, how far off they are, slices along them."""

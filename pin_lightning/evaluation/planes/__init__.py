"""Standard planes through landmarks: their fit, their errors, and slices along them."""

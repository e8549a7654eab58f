"""Training of the pose stage."""

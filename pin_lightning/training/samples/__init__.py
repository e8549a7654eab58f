"""Training samples and the loaders that deliver them."""

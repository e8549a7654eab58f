"""Phantom data, training samples, and the loaders that deliver them."""

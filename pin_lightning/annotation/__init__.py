"""Annotation in the browser: volumes, saved landmarks, predictions, and the server that has them."""

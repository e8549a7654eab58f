"""Annotation in the browser: volumes, saved landmarks, predictions, and their server."""

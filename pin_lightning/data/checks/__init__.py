"""Checks of annotated cases before training: each on its own, and against the others."""

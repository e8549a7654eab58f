"""Figures, contact sheets and films."""

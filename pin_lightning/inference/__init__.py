"""Prediction of many volumes, and its output files."""

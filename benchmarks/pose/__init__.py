"""Measurements of the pose stage, of which ``benchmarks/poses.py`` runs one."""

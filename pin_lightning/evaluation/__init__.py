"""Errors in mm and the numbers that sum them up; intervals and calibrated radii."""

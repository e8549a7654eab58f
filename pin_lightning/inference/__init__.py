"""Prediction of many volumes, and the files that it leaves."""

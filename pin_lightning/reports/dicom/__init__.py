"""Predictions as DICOM structured reports; needs highdicom, which only this package imports."""

"""Landmarks of one to four annotated scans carried over to another one by registration."""

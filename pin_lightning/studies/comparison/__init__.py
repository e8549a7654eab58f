"""Paired comparison of two runs on the same cases: differences, intervals and tests."""

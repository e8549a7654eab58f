"""Jobs of a sweep in one table and one figure."""

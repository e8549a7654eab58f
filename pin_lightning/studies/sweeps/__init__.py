"""Results of a sweep: its failed jobs, one table and one figure."""

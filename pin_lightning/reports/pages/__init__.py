"""Pages that open without a network: the report of a run, the review of a prediction."""

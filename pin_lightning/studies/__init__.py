"""Studies of many runs: cross-validation, comparison, sweeps, new cases."""

"""Training from a config to an evaluated run folder."""

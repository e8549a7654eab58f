"""From a config to a trained, evaluated run folder."""

"""Random changes of training samples; landmarks follow exactly."""

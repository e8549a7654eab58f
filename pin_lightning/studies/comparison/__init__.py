"""Two runs on the same cases: how much closer one is, and whether that can be told."""

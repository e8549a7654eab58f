"""Processes that work together: ranks, launch, shared random states, joint shutdown."""

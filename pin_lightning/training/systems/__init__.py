"""Training of systems beside PIN: whole volumes, one module for all, loops of their own."""

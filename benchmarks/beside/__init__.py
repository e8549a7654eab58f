"""Systems beside PIN compared with it, of which ``benchmarks/related.py`` is the command."""

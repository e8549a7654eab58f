"""Lightning callbacks: averaged weights, checkpoints, progress, shutdown, trajectories."""

"""Learning from what is annotated: trainings as processes, proposals, and what to annotate next."""

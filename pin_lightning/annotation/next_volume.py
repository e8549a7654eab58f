"""Which volume to do next."""

import random
from collections.abc import Callable, Sequence

from pin_lightning.annotation.learner import Learner

DOUBT, RANDOM, DIVERSE = "doubt", "random", "diverse"
STRATEGIES = (DOUBT, RANDOM, DIVERSE)


def next_volume(
    strategy: str,
    candidates: Sequence[str],
    done: Sequence[str],
    doubt: Callable[[str], float],
    learner: Learner,
) -> str | None:
    """Choose a volume.

    Args:
        strategy: The most doubtful one, any, or the one most unlike those that are done.
        candidates: Ids of volumes that are not done.
        done: Ids of those that are.
        doubt: How doubtful a volume is.
        learner: Says which one is unlike the others; where it cannot, doubt decides.

    Raises:
        ValueError: There is no such strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy}: give one of {', '.join(STRATEGIES)}")
    if not candidates:
        return None
    if strategy == RANDOM:
        return random.choice(candidates)
    diverse = learner.diverse(candidates, done) if strategy == DIVERSE else None
    return diverse or max(candidates, key=doubt)

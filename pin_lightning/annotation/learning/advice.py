"""When training pays, in a line."""

from pin_lightning.annotation.learning.settings import FEWEST_TO_TRAIN

FEWEST_FOR_RADII = 9


def advice(done: int, total: int, trained_on: int = 0, proposes: bool = True) -> str | None:
    """What to do next, by the number of volumes that are done.

    Args:
        done: Volumes that are done.
        total: All volumes.
        trained_on: Volumes that the present model was trained on here; 0 without one.
        proposes: Whether there is no model, so that done volumes are carried over to others.
    """
    left = total - done
    if left <= 0:
        return None
    if trained_on:
        more = done - trained_on
        if more >= max(2, trained_on // 2):
            return f"{more} more volumes are done than the model was trained on: train again."
        return None
    if not proposes:
        if done >= FEWEST_TO_TRAIN:
            return f"{done} volumes are done: a model of your own data can be trained now."
        return None
    if done == 0:
        return "Annotate one volume by hand: it is then carried over to the others as proposals."
    if done < FEWEST_TO_TRAIN:
        more = FEWEST_TO_TRAIN - done
        return (
            f"{done} annotated: the others are proposed by registration, half a minute a volume. "
            f"Training pays after {more} more."
        )
    if done < FEWEST_FOR_RADII:
        return (
            f"{done} annotated: training pays now. From {FEWEST_FOR_RADII} on it gives radii, too."
        )
    return f"{done} annotated: training pays now, and gives each landmark a radius."

"""Which volume of a session is most unlike those that are done."""

import logging
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pin_lightning.annotation.learning.appearance import LENGTH, kept_appearance
from pin_lightning.annotation.learning.diverse import form_features, most_unlike
from pin_lightning.annotation.session import Session
from pin_lightning.inference.files import LocalInput

log = logging.getLogger(__name__)

MOST_COMPARED = 100  # candidates, and volumes that are done: scans are read the first time


class Unlike:
    """Compares volumes by predicted or saved form, by orientation and by appearance.

    Args:
        session: The session.
        folder: Folder in which the appearance of scans is kept.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self._folder = session, folder

    def __call__(self, candidates: Sequence[str], done: Sequence[str]) -> str | None:
        """Id of the candidate that is most unlike those that are done; None if none can be read."""
        candidates, done = _some(candidates), _some(done)
        looks = {key: one for key in [*candidates, *done] if (one := self._look(key)) is not None}
        keys = list(looks)
        left = [index for index, key in enumerate(keys) if key in set(candidates)]
        if not left:
            return None
        blocks = [np.stack([looks[key] for key in keys])]
        shapes = np.stack([self._shape(key) for key in keys])
        if len(keys) > 1 and np.isfinite(shapes).all(axis=2).sum(axis=1).min(initial=99) >= 3:
            blocks += form_features(shapes)
        others = [index for index in range(len(keys)) if index not in left]
        found = most_unlike(blocks, left, others)
        return None if found is None else keys[found]

    def _look(self, key: str) -> np.ndarray | None:
        scan = self._session.scans[key]
        if not isinstance(scan.file, LocalInput):
            return np.zeros(LENGTH)
        try:
            with scan.local() as path:
                return kept_appearance(path, self._folder / f"{key}.npy")
        except (ValueError, OSError) as error:
            log.warning("%s", error)
            return None

    def _shape(self, key: str) -> np.ndarray:
        points = self._session.points(key)
        nowhere = (np.nan,) * 3
        rows = [points[name].position or nowhere for name in self._session.names]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _some(keys: Sequence[str]) -> list[str]:
    if len(keys) <= MOST_COMPARED:
        return list(keys)
    return random.Random(0).sample(list(keys), MOST_COMPARED)

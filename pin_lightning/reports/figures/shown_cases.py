"""Cases for pictures, kept from their evaluation so that no image is read again."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.data.preprocessing import OriginalImage, WorkingVolume, read_image
from pin_lightning.evaluation.planes.groups import PlaneGroup
from pin_lightning.reports.figures.planes import PlaneView, plane_views
from pin_lightning.runs.locator import PoseTrace
from pin_lightning.runs.predictor import Localised, Prediction, Predictor

MOST_KEPT = 8  # cases, each with a working volume and a few slices


@dataclass(frozen=True, eq=False)
class ShownCase:
    """A case with its working volume, prediction and standard planes."""

    annotated: AnnotatedCase
    volume: WorkingVolume
    prediction: Prediction
    planes: tuple[PlaneView, ...]


def read_case(
    predictor: Predictor, annotated: AnnotatedCase, groups: Sequence[PlaneGroup]
) -> ShownCase:
    """Read and localise a case.

    Raises:
        ValueError: The image cannot be read.
    """
    image = read_image(annotated.case.image, predictor.window)
    volume, _ = predictor.place(image)
    return _shown(annotated, volume, predictor.localise(volume), image, groups)


def trace_pose(predictor: Predictor, annotated: AnnotatedCase) -> PoseTrace | None:
    """Find the pose in a case again, with the way there; None without a pose stage.

    Raises:
        ValueError: The image cannot be read.
    """
    if predictor.locator is None:
        return None
    return predictor.locator.trace(read_image(annotated.case.image, predictor.window))


def _shown(
    annotated: AnnotatedCase,
    volume: WorkingVolume,
    prediction: Prediction,
    image: OriginalImage | None,
    groups: Sequence[PlaneGroup],
) -> ShownCase:
    views = () if image is None else plane_views(image, annotated, prediction.landmarks, groups)
    placed = annotated.within(volume.affine, volume.grid)
    return ShownCase(placed, volume, prediction, tuple(views))


class KeptCases:
    """Cases that may become the best, the median or the worst of an evaluation.

    At most `MOST_KEPT`, so that memory does not grow with the cases. Of more, those nearest the
    current median are kept, so that the final median may be missing.

    Args:
        count: Number of cases of the evaluation.
        groups: Standard planes.
    """

    def __init__(self, count: int, groups: Sequence[PlaneGroup]) -> None:
        self.count = count
        self.groups = groups
        self._ranked: list[tuple[float, int]] = []  # mean error and place, of all cases
        self._kept: dict[tuple[float, int], ShownCase] = {}

    def add(self, annotated: AnnotatedCase, found: Localised) -> None:
        """Keep a case as long as it may be shown; call this in the order of the evaluation."""
        defined = annotated.landmarks.defined
        if not defined.any():
            return
        off_mm = found.prediction.positions_world - annotated.landmarks.positions_world
        error = float(np.linalg.norm(off_mm[defined], axis=1).mean())
        own = (error, len(self._ranked))
        insort(self._ranked, own)
        if self._may_be_shown(own):
            made_from = (found.volume, found.prediction, found.image)
            self._kept[own] = _shown(annotated, *made_from, self.groups)
        self._kept = {one: case for one, case in self._kept.items() if self._may_be_shown(one)}
        middle = (len(self._ranked) - 1) / 2
        while len(self._kept) > MOST_KEPT:
            between = [one for one in self._kept if one not in (self._ranked[0], self._ranked[-1])]
            del self._kept[max(between, key=lambda one: abs(self._rank(one) - middle))]

    def get(self, name: str) -> ShownCase | None:
        """Return the case of a name; None if it was not kept."""
        cases = self._kept.values()
        return next((one for one in cases if one.annotated.case.name == name), None)

    def _rank(self, one: tuple[float, int]) -> int:
        return bisect_left(self._ranked, one)

    def _may_be_shown(self, one: tuple[float, int]) -> bool:
        rank, seen = self._rank(one), len(self._ranked)
        median, to_come = (self.count - 1) // 2, self.count - seen
        return rank in (0, seen - 1) or rank <= median <= rank + to_come

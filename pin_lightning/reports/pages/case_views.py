"""Cases on the page of a run: the worst, the median and the best."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.reports.figures.case_pictures import chosen_cases
from pin_lightning.reports.pages.page import Picture, Scene
from pin_lightning.reports.pages.run_facts import RunFacts
from pin_lightning.reports.pages.tables import three_digits
from pin_lightning.runs.folder import FIGURES

_LABELS = ("worst", "median", "best")
_KINDS = {
    "case": "true and predicted landmarks on three slices",
    "planes": "planes through the landmarks",
}


@dataclass(frozen=True)
class CaseView:
    """A case with its figures; those that were not drawn are None.

    `pictures` are slices with landmarks; `starts`, `film` and `scene` show the paths of the starts
    as a picture, as a film and in 3D; `pose_film` and `pose_scene` how the pose was found before.
    """

    label: str
    case: str
    error: str
    pictures: tuple[Picture, ...]
    starts: Picture | None
    film: Picture | None
    scene: Scene | None
    pose_film: Picture | None
    pose_scene: Scene | None

    @property
    def scenes(self) -> list[Scene]:
        """The 3D figures that were drawn."""
        return [one for one in (self.scene, self.pose_scene) if one is not None]

    @property
    def moves(self) -> bool:
        """True where the paths of the starts were drawn in any form."""
        drawn = (self.starts, self.film, self.pose_film, *self.scenes)
        return any(one is not None for one in drawn)


def case_views(run: RunFacts, evaluation: Evaluation) -> Iterator[CaseView]:
    """Yield the worst, the median and the best case, as far as there are so many."""
    chosen = chosen_cases(evaluation)
    errors = dict(zip(evaluation.cases, evaluation.errors_mm, strict=True))
    for label in (label for label in _LABELS if label in chosen):
        case, stem = chosen[label], f"{run.part}_{label}"
        pictures = [
            picture_of(run, f"{stem}_{kind}.png", f"{label} case {case}: {text}")
            for kind, text in _KINDS.items()
        ]
        text = f"{label} case {case}: paths of the starts"
        pose = f"{label} case {case}: the pose as it is found"
        yield CaseView(
            label=label,
            case=case,
            error=f"mean error {three_digits(float(np.nanmean(errors[case])))} mm",
            pictures=tuple(one for one in pictures if one is not None),
            starts=picture_of(run, f"{stem}_starts.png", text),
            film=picture_of(run, f"{stem}_starts.gif", text),
            scene=_scene_of(run, f"{stem}_starts.json", f"scene-{label}", text),
            pose_film=picture_of(run, f"{stem}_pose.gif", pose),
            pose_scene=_scene_of(run, f"{stem}_pose.json", f"scene-pose-{label}", pose),
        )


def picture_of(run: RunFacts, name: str, alt: str) -> Picture | None:
    """A figure of the run, None if it was not drawn."""
    path = run.folder / FIGURES / name
    return Picture.of_file(path, alt) if path.is_file() else None


def _scene_of(run: RunFacts, file: str, name: str, alt: str) -> Scene | None:
    path = run.folder / FIGURES / file
    return Scene.of_file(path, name, alt) if path.is_file() else None

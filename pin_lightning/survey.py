"""Survey: read a data set, check all of it, and make its working volumes, before training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pin_lightning import checks
from pin_lightning.cases import Case
from pin_lightning.checks import Finding
from pin_lightning.geometry import Grid, flip_lps_ras
from pin_lightning.inspection import (
    AnnotatedCase,
    Inspected,
    annotate,
    choose_landmarks,
    inspect_cases,
    to_grid_mm,
)
from pin_lightning.preprocessing import cache_volumes, read_facts, suggest_grid
from pin_lightning.shape_checks import shape_findings


@dataclass(frozen=True, eq=False)
class Survey:
    """A data set that was read and checked.

    Attributes:
        found: All cases of the data set.
        names: Landmarks to localise.
        grid: Working grid.
        inspected: Cases whose header and landmarks could be read, as stored.
        cases: The same cases on the working grid.
        volumes: Working volume files by case name.
        findings: What is wrong, errors first.
    """

    found: list[Case]
    names: tuple[str, ...]
    grid: Grid
    inspected: list[Inspected]
    cases: list[AnnotatedCase]
    volumes: dict[str, Path]
    findings: list[Finding]

    @property
    def known_names(self) -> tuple[str, ...]:
        """All landmarks of the data set, whether they are localised or not."""
        return tuple(dict.fromkeys(name for one in self.inspected for name in one.landmarks.names))

    def refuse_errors(self) -> None:
        """Refuse to go on when there is an error among the findings.

        Raises:
            ValueError: Names the first errors, and the command that shows all.
        """
        refuse_errors(self.findings)


def survey(
    cases: Sequence[Case],
    cache_dir: Path,
    landmarks: Sequence[str] | None = None,
    spacing_mm: float | int | None = None,
    grid_size: Sequence[int] | None = None,
) -> Survey:
    """Read and check all cases; the images are read only where no working volume is cached.

    Args:
        cases: Cases with landmarks.
        cache_dir: Folder of the working volumes.
        landmarks: Names to localise; none takes all.
        spacing_mm: Voxel side of the working grid; none takes it from the images.
        grid_size: Voxels of the working grid; none takes them from the images.

    Raises:
        ValueError: No case can be read, or a setting is wrong.
    """
    inspected, failures = inspect_cases(cases)
    unread = [Finding("error", case, "", message) for case, message in failures.items()]
    if not inspected:
        refuse_errors(unread)
        raise ValueError("data.root: has no cases")
    names = choose_landmarks(inspected, landmarks)
    grid = suggest_grid([one.header for one in inspected], spacing_mm, grid_size)
    annotated = [annotate(one, names, grid) for one in inspected]
    volumes, bad_images = cache_volumes([one.case for one in inspected], grid, cache_dir)
    findings = [
        *unread,
        *(Finding("error", case, "", message) for case, message in bad_images.items()),
        *_landmark_findings(inspected, annotated, names, grid),
        *_image_findings(inspected, volumes),
    ]
    findings.sort(key=lambda finding: finding.level != "error")
    return Survey(list(cases), names, grid, inspected, annotated, volumes, findings)


def _landmark_findings(
    inspected: Sequence[Inspected],
    annotated: Sequence[AnnotatedCase],
    names: tuple[str, ...],
    grid: Grid,
) -> list[Finding]:
    cases = tuple(one.case.name for one in annotated)
    shapes_mm = np.stack([one.landmarks_mm.double().numpy() for one in annotated])
    flipped_mm = np.stack(
        [
            to_grid_mm(one.header, flip_lps_ras(both.landmarks.positions_world), grid)
            for one, both in zip(inspected, annotated, strict=True)
        ]
    )
    outside = checks.outside(inspected)
    return [
        *outside,
        *checks.coincident(inspected),
        *checks.names(inspected),
        *checks.spacing(inspected),
        *shape_findings(shapes_mm, flipped_mm, cases, names, grid.spacing_mm, outside),
    ]


def _image_findings(inspected: Sequence[Inspected], volumes: Mapping[str, Path]) -> list[Finding]:
    facts = {name: read_facts(path) for name, path in volumes.items()}
    subjects = {one.case.name: one.case.subject for one in inspected}
    return [*checks.intensities(facts), *checks.same_images(facts, subjects)]


def refuse_errors(findings: Sequence[Finding], shown: int = 3) -> None:
    """Refuse to go on when there is an error among the findings.

    Args:
        findings: Errors and warnings.
        shown: How many errors to name.

    Raises:
        ValueError: There is an error.
    """
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        said = "; ".join(
            f"{finding.case}: {finding.message}".lstrip(": ") for finding in errors[:shown]
        )
        more = f"; and {len(errors) - shown} more" if len(errors) > shown else ""
        raise ValueError(
            f"the data has {len(errors)} errors: {said}{more} "
            f"(python -m pin_lightning.check with the same data settings shows all)"
        )

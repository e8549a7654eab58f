"""Survey of a data set before training: reading, checks, working volumes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pin_lightning.common.geometry import Grid, flip_lps_ras
from pin_lightning.data import inspection
from pin_lightning.data.cases import Case
from pin_lightning.data.checks import cases as checks
from pin_lightning.data.checks.cases import Finding
from pin_lightning.data.checks.label_sets import label_sets
from pin_lightning.data.checks.shapes import shape_findings
from pin_lightning.data.framing import AsScanned, Framed, Framing
from pin_lightning.data.inspection import AnnotatedCase, Inspected
from pin_lightning.data.skipped import errors_by_case, left_out_findings, skips_errors
from pin_lightning.data.volume_cache import cache_volumes
from pin_lightning.data.volume_facts import read_facts

MOST_SHOWN = 3  # errors in a message


@dataclass(frozen=True, eq=False)
class Survey:
    """A data set with the results of its checks.

    Attributes:
        found: All cases of the data set.
        names: Landmarks to localise.
        grid: Working grid.
        inspected: Cases whose header and landmarks could be read, as stored.
        cases: The same cases on the working grid.
        volumes: Working volume files by case name.
        framed: Where working volumes lie.
        findings: Errors, then warnings.
        skipped: Reasons of skipped cases by name; besides, only `found` and a warning have them.
    """

    found: list[Case]
    names: tuple[str, ...]
    grid: Grid
    inspected: list[Inspected]
    cases: list[AnnotatedCase]
    volumes: dict[str, Path]
    framed: Framed
    findings: list[Finding]
    skipped: dict[str, str]

    @property
    def window(self) -> str:
        """Rule of the intensity window of working volumes."""
        return self.framed.window

    @property
    def known_names(self) -> tuple[str, ...]:
        """All landmarks of the data set, localised or not."""
        return tuple(dict.fromkeys(name for one in self.inspected for name in one.landmarks.names))


def survey(
    cases: Sequence[Case],
    cache_dir: Path,
    landmarks: Sequence[str | int] | None = None,
    spacing_mm: float | int | None = None,
    grid_size: Sequence[int] | None = None,
    on_error: str = "refuse",
    framing: Framing | None = None,
) -> Survey:
    """Read and check all cases; images are read only if their working volume is not cached.

    With ``on_error="skip"`` cases with errors are left out, and the others are checked again
    without them.

    Args:
        cases: Cases with landmarks.
        cache_dir: Folder of the working volumes.
        landmarks: Names to localise; None takes all.
        spacing_mm: Voxel side of the working grid; None chooses it from the images.
        grid_size: Voxels of the working grid; None chooses them from the images.
        on_error: ``refuse`` or ``skip``.
        framing: Chooses the frame of working volumes; by default along the axes of the images.

    Raises:
        ValueError: No case can be read, or a setting is wrong.
    """
    inspected, failures = inspection.inspect_cases(cases)
    skips = skips_errors(on_error)
    skipped = failures if skips else {}
    while True:
        remaining = [one for one in inspected if one.case.name not in skipped]
        if not remaining:
            refuse_errors(_errors(failures | skipped))
            raise ValueError("data.root: has no cases")
        names = inspection.choose_landmarks(remaining, landmarks)
        unlike = label_sets({one.case.name: one.landmarks.names for one in remaining})
        # Without labels in common there is no common anatomy.
        chosen = AsScanned() if unlike or framing is None else framing
        framed = chosen(remaining, spacing_mm, grid_size)
        grid, affines = framed.grid, framed.affines
        annotated = [
            inspection.annotate(one, names, grid, affines[one.case.name]) for one in remaining
        ]
        findings = [
            *_errors(framed.errors),
            *unlike,
            *_landmark_findings(remaining, names, grid, unlike),
        ]
        errors = errors_by_case(findings) if skips else {}
        if not errors:  # else the images wait: skipping cases may change the grid
            posed = None if framed.anatomy is None else framed.affines
            members = [one.case for one in remaining]
            volumes, bad = cache_volumes(members, grid, cache_dir, posed, framed.window)
            findings = [*_errors(bad), *findings, *_image_findings(remaining, volumes)]
            errors = errors_by_case(findings) if skips else {}
        if not errors:
            break
        skipped = skipped | errors
    first = left_out_findings(skipped) if skips else _errors(failures)
    findings = sorted([*first, *findings], key=lambda one: one.level != "error")
    found = (list(cases), names, grid, remaining, annotated, volumes, framed, findings, skipped)
    return Survey(*found)


def _errors(messages: Mapping[str, str]) -> list[Finding]:
    return [Finding("error", case, "", message) for case, message in messages.items()]


def _landmark_findings(
    inspected: Sequence[Inspected],
    names: tuple[str, ...],
    grid: Grid,
    unlike: Sequence[Finding],
) -> list[Finding]:
    cases = tuple(one.case.name for one in inspected)
    annotated = [inspection.annotate(one, names, grid) for one in inspected]
    shapes_mm = np.stack([one.landmarks_mm.double().numpy() for one in annotated])
    flipped = [
        inspection.to_grid_mm(one.header, flip_lps_ras(both.landmarks.positions_world), grid)
        for one, both in zip(inspected, annotated, strict=True)
    ]
    outside = checks.outside(inspected)
    unlike_cases = {finding.case for finding in unlike}
    alike = [one for one in inspected if one.case.name not in unlike_cases]
    return [
        *outside,
        *checks.coincident(inspected),
        *([] if "" in unlike_cases else checks.names(alike)),
        *checks.spacing(inspected),
        *shape_findings(
            shapes_mm, np.stack(flipped), cases, names, grid.spacing_mm, [*outside, *unlike]
        ),
    ]


def _image_findings(inspected: Sequence[Inspected], volumes: Mapping[str, Path]) -> list[Finding]:
    facts = {name: read_facts(path) for name, path in volumes.items()}
    subjects = {one.case.name: one.case.subject for one in inspected}
    return [*checks.intensities(facts), *checks.same_images(facts, subjects)]


def refuse_errors(findings: Sequence[Finding]) -> None:
    """Raise if any of the findings is an error.

    Raises:
        ValueError: Names the first errors, and the command that shows all.
    """
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        said = "; ".join(
            f"{finding.case}: {finding.message}".lstrip(": ") for finding in errors[:MOST_SHOWN]
        )
        more = f"; and {len(errors) - MOST_SHOWN} more" if len(errors) > MOST_SHOWN else ""
        raise ValueError(
            f"the data has {len(errors)} errors: {said}{more} "
            f"(pin-lightning check with the same data settings shows all)"
        )

"""Disturbed scans: errors of what remains visible, and which poses are marked uncertain."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.data.cases import Case, files_by_name
from pin_lightning.data.images.reading import read_header, read_voxels
from pose.disturbances import DISTURBANCES, WITHOUT_ANATOMY, Disturbance, Scan
from pose.given import own_settings
from pose.measures import Measured, Measurer, runs_of
from pose.tables import number, show

log = logging.getLogger(__name__)
HEADER = ("disturbance", "poses right", "uncertain", "refused", "error of what is visible, mm")
HEADER += ("undisturbed, same landmarks", "change")
UNCERTAIN_HEADER = ("volumes", "number", "uncertain", "refused")


class Pair(NamedTuple):
    """What was found in a disturbed scan, and in the same scan as it is.

    Attributes:
        disturbed: None if it was refused.
        undisturbed: The scan as it is.
        visible: Landmarks [L] of the model that are visible in both.
    """

    disturbed: Measured | None
    undisturbed: Measured
    visible: np.ndarray


def measure_disturbed(
    measurer: Measurer, scan: Scan, disturbance: Disturbance, seed: int
) -> tuple[Measured | None, np.ndarray]:
    """Write a disturbed scan, and predict it; with which landmarks of the model it shows."""
    changed = disturbance(scan, np.random.default_rng(seed))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii"
        nib.save(nib.Nifti1Image(changed.voxels, changed.affine), path)
        try:
            found = measurer.measure("disturbed", path, changed.landmarks_world)
        except ValueError as error:
            log.info("refused: %s", error)
            return None, changed.visible()[measurer.own]
    return found, changed.visible()[measurer.own]


def loaded(measurer: Measurer, case: Case) -> Scan:
    """A case as it is stored."""
    return Scan(read_voxels(case.image), read_header(case.image)[1], measurer.truth(case))


def tested(run: Path, root: str | None, most: int | None) -> Iterator[tuple[Measurer, Case]]:
    """Test cases of a run or of its folds, each with a run that did not see it."""
    pairs = [(one, case) for one in map(Measurer, runs_of(run)) for case in one.tested(root)]
    with progress_bar(pairs[:most], "disturbing", len(pairs[:most])) as counted:
        yield from counted


def row(name: str, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Cells of a disturbance."""
    known = [(pair, pair.disturbed) for pair in pairs if pair.disturbed is not None]
    right = f"{sum(one.is_right for _, one in known)} of {len(known)}"
    uncertain = str(sum(one.uncertain for _, one in known))
    refused = str(len(pairs) - len(known))
    errors = [one.errors_mm[pair.visible] for pair, one in known]
    before = [pair.undisturbed.errors_mm[pair.visible] for pair, _ in known]
    means = [np.nanmean(np.concatenate(one)) if one else np.nan for one in (errors, before)]
    change = f"{100 * (means[0] / means[1] - 1):+.1f} %" if errors else "-"
    return (name, right, uncertain, refused, *map(number, means), change)


def uncertain_row(name: str, found: Sequence[Measured | bool | None]) -> tuple[str, ...]:
    """Cells of volumes whose pose should be uncertain."""
    marked = sum(
        one if isinstance(one, bool) else one.uncertain for one in found if one is not None
    )
    return (name, str(len(found)), str(marked), str(sum(one is None for one in found)))


def others(measurer: Measurer, folder: Path) -> list[bool | None]:
    """Whether poses in images of another anatomy are uncertain; None where one is refused."""
    inner = folder / "images"
    paths = files_by_name(inner if inner.is_dir() else folder).values()
    found = [one for _, one in measurer.predictor.predict_many(list(paths), batch_size=1)]
    return [
        None if isinstance(one, ValueError) else one.pose is not None and one.pose.uncertain
        for one in found
    ]


def main(given: Sequence[str]) -> None:
    """Disturb, predict, print."""
    defaults = {"run": None, "data.root": None, "other": None, "cases": None}
    own, _ = own_settings("field", given, defaults)
    if own["run"] is None:
        raise SystemExit("give run=RUN, a run folder or a folder of folds")
    most = 2 if own["small"] else own["cases"]
    pairs: dict[str, list[Pair]] = {name: [] for name in DISTURBANCES}
    nothing: dict[str, list[Measured | None]] = {name: [] for name in WITHOUT_ANATOMY}
    run, output = Path(own["run"]), own["output"]
    for seed, (measurer, case) in enumerate(tested(run, own["data.root"], most)):
        scan = loaded(measurer, case)
        undisturbed = measurer.measure(case.name, case.image, scan.landmarks_world)
        for name, disturbance in DISTURBANCES.items():
            found, visible = measure_disturbed(measurer, scan, disturbance, seed)
            pairs[name].append(Pair(found, undisturbed, visible))
        for name, disturbance in WITHOUT_ANATOMY.items():
            nothing[name].append(measure_disturbed(measurer, scan, disturbance, seed)[0])
    show(output / "field.md", str(run), HEADER, [row(*one) for one in pairs.items()])
    rows = [uncertain_row(*one) for one in nothing.items()]
    if own["other"] is not None:
        measurer = Measurer(runs_of(run)[0])
        rows.append(uncertain_row(f"of {own['other']}", others(measurer, Path(own["other"]))))
    show(output / "uncertain.md", "volumes without the anatomy", UNCERTAIN_HEADER, rows)

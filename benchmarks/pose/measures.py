"""What a run finds in a scan, beside the truth: the pose, and the landmarks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from run_data import cases_of

from pin_lightning.common.alignment import fit_pose
from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.data.cases import Case
from pin_lightning.data.images.reading import read_header
from pin_lightning.data.scan_levels import placed, scan_to_world
from pin_lightning.method.pose.limits import Judged
from pin_lightning.runs.folder import read_config, read_record
from pin_lightning.runs.folds import is_folds_folder, read_folds
from pin_lightning.runs.pose_stage import read_pose_record
from pin_lightning.runs.predictor import Predictor
from pose.tables import median_and_most, number, with_interval


@dataclass(frozen=True, eq=False)
class Measured:
    """What was found in a scan.

    Attributes:
        case: Its name.
        errors_mm: Errors of the landmarks [L], NaN where the truth is unknown.
        placed_mm: Errors of the mean shape put where the pose is.
        judged: The pose beside the true one; None in a run without a pose stage.
        position_mm: Mean distance of the landmarks that the found pose and the true one place.
        shape_mm: Mean error of the mean shape put where the true pose is.
        uncertain: Whether the pose was said to be uncertain.
        pose_seconds: Time to find the pose; NaN without.
        seconds: Time of all, with reading.
    """

    case: str
    errors_mm: np.ndarray
    placed_mm: np.ndarray
    judged: Judged | None
    position_mm: float
    shape_mm: float
    uncertain: bool
    pose_seconds: float
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether the pose is right."""
        return self.judged is not None and self.judged.is_right


class Measurer:
    """A trained run that is measured.

    Args:
        run: Its folder.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.predictor = Predictor.load(run)
        self.names = self.predictor.names
        self.all_names = self.names
        if self.predictor.locator is not None:
            self.all_names = read_pose_record(run).anatomy.names
        # Places in `all_names` of the landmarks that the model localises.
        self.own = [self.all_names.index(name) for name in self.names]

    def tested(self, root: str | None = None) -> list[Case]:
        """Test cases of the run, in its own data set or one in another folder."""
        config = read_config(self.run)
        if root is not None:
            config.data.source.root = root
        cases = {case.name: case for case in cases_of(config)}
        return [cases[name] for name in read_record(self.run).split.test]

    def truth(self, case: Case) -> np.ndarray:
        """Landmarks that the pose is fitted to, RAS+ mm, NaN where missing."""
        assert case.read is not None
        return case.read().select(self.all_names).positions_world

    def measure(self, case: str, image: Path, truth_world: np.ndarray) -> Measured:
        """Predict a scan, and compare with the landmarks `all_names` in it."""
        found = self.predictor.predict(image)
        errors_mm, placed_mm = (
            np.linalg.norm(points - truth_world[self.own], axis=1)
            for points in (found.positions_world, found.mean_shape_world)
        )
        if found.pose is None or self.predictor.locator is None:
            nothing = (None, np.nan, np.nan, False, np.nan)
            return Measured(case, errors_mm, placed_mm, *nothing, found.seconds)
        shape, affine = read_header(image)
        scan_mm = placed(truth_world, scan_to_world(affine, shape))
        finder = self.predictor.locator.ensemble.members[0]
        mean_mm = finder.mean_mm_.double().cpu().numpy()
        true = fit_pose(mean_mm, scan_mm, with_scale=finder.largest_scale > 1)
        judged = Judged.of(found.pose.found, true, mean_mm, finder.extent_mm)
        beside = (
            judged,
            judged.share * finder.extent_mm,
            np.nanmean(np.linalg.norm(true.place(mean_mm) - scan_mm, axis=1)),
        )
        marked = (found.pose.uncertain, found.pose.seconds)
        return Measured(case, errors_mm, placed_mm, *beside, *marked, found.seconds)


def runs_of(run: Path) -> list[Path]:
    """Folders of single runs: that of a run, or those of folds."""
    return list(read_folds(run)) if is_folds_folder(run) else [run]


def measured_tests(run: Path) -> list[Measured]:
    """Measure the test cases of a run, or those of each fold by its own run."""
    found = []
    for one in runs_of(run):
        measurer = Measurer(one)
        cases = measurer.tested()
        with progress_bar(cases, f"measuring {one.name}", len(cases)) as counted:
            found += [measurer.measure(c.name, c.image, measurer.truth(c)) for c in counted]
    return found


def summary(measured: Sequence[Measured], far_mm: float) -> dict[str, str]:
    """Numbers of several scans, by what they are."""
    errors = np.stack([one.errors_mm for one in measured])
    posed = [one for one in measured if one.judged is not None]
    right = [one for one in posed if one.is_right]
    wrong = [one for one in posed if not one.is_right]
    degrees = [one.judged.degrees for one in posed if one.judged is not None]
    return {
        "scans": str(len(measured)),
        "poses right": f"{len(right)} of {len(posed)}",
        "wrong and sure": str(sum(not one.uncertain for one in wrong)),
        "right and uncertain": str(sum(one.uncertain for one in right)),
        "rotation error, degrees: median, largest": median_and_most(degrees, 1),
        "position error, mm: median, largest": median_and_most(
            [one.position_mm for one in posed], 3
        ),
        "mean shape at the true pose, mm: median, largest": median_and_most(
            [one.shape_mm for one in posed], 3
        ),
        "the same of wrong poses": ", ".join(number(one.shape_mm) for one in wrong) or "-",
        "mean shape put there, mm": with_interval(np.stack([one.placed_mm for one in measured])),
        "mean radial error, mm (95 % interval)": with_interval(errors),
        "median, mm": number(np.nanmedian(errors)),
        "95th percentile, mm": number(np.nanpercentile(errors, 95)),
        "largest, mm": number(np.nanmax(errors)),
        f"landmarks beyond {far_mm:g} mm": f"{(errors > far_mm).sum()} of "
        f"{np.isfinite(errors).sum()}",
        "s a volume: pose": number(np.median([one.pose_seconds for one in measured]), 2),
        "s a volume: all, with reading": number(np.median([one.seconds for one in measured]), 2),
    }

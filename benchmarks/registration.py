"""Atlas registration on the test cases of a cross-validation, as a baseline beside it.

``python benchmarks/registration.py run=FOLDS output=registration.csv``, then
``python -m pin_lightning.report run=FOLDS report.others.registration=registration.csv``

For each case, training cases of its fold are registered to it (SimpleITK: affine by correlation of
intensities, then symmetric demons, coarse to fine) and carry their landmarks over; their mean is
the prediction.
"""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import SimpleITK as sitk
from omegaconf import OmegaConf
from run_data import cases_of

from pin_lightning.baselines.deformation import as_image, bent_onto, carried
from pin_lightning.common.files import write_text
from pin_lightning.common.geometry import mm_to_world
from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.common.tables import csv_number
from pin_lightning.data.preprocessing import WorkingVolume
from pin_lightning.data.survey import Survey, survey
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.runs.folder import RunRecord, read_config, read_model, read_record
from pin_lightning.runs.folds import read_folds

LEVELS = ((4, 60), (2, 40), (1, 15))  # voxels of a level, iterations of demons
COLUMNS = ("case", "landmark", "x", "y", "z", "seconds")


@dataclass(frozen=True)
class Settings:
    """Settings of the registration.

    Attributes:
        atlases: Training cases that are registered to each case.
        sampling: Share of the voxels that the affine part looks at.
        smoothing: Width in voxels by which demons smooth their displacements.
    """

    atlases: int = 3
    sampling: float = 0.05
    smoothing: float = 2.0


def register(atlas: sitk.Image, target: sitk.Image, settings: Settings) -> sitk.Transform:
    """Map from points of an atlas to points of a target."""
    affine = _affine(atlas, target, settings)
    moved = sitk.Resample(target, atlas, affine, sitk.sitkLinear, 0.0)
    return bent_onto(atlas, moved, affine, LEVELS, settings.smoothing)


def _affine(atlas: sitk.Image, target: sitk.Image, settings: Settings) -> sitk.Transform:
    transform = sitk.CenteredTransformInitializer(
        atlas, target, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(settings.sampling, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([4, 2])
    method.SetSmoothingSigmasPerLevel([2, 1])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 100)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(atlas, target)
    return transform


def evenly(cases: Sequence[str], count: int) -> list[str]:
    """So many of the cases, evenly spread over their list."""
    places = np.linspace(0, len(cases) - 1, min(count, len(cases))).round().astype(int)
    return [cases[place] for place in places]


def localise(
    target: WorkingVolume, atlases: Sequence[tuple[WorkingVolume, np.ndarray]], settings: Settings
) -> np.ndarray:
    """Landmarks [L, 3] in grid mm, the mean of those carried over; NaN where no atlas has one.

    Args:
        target: Where to find them.
        atlases: Volumes with their landmarks in grid mm.
        settings: How volumes are registered.
    """
    image, found = as_image(target.intensity, target.grid.spacing_mm), []
    for atlas, points_mm in atlases:
        moving = as_image(atlas.intensity, atlas.grid.spacing_mm)
        found.append(carried(register(moving, image, settings), points_mm))
    return np.nanmean(found, axis=0)


def survey_of(fold: Path) -> tuple[Survey, RunRecord]:
    """The data that a fold was trained on."""
    record, config = read_record(fold), read_config(fold)
    grid, data = record.grid, config.data
    on_error = data.get("on_error", "refuse")  # runs of earlier versions lack it
    settings = (list(record.names), grid.spacing_mm, list(grid.size), on_error)
    return survey(cases_of(config), Path(data.cache_dir), *settings), record


def main() -> None:
    """Register all cases and write one table."""
    given = dict(OmegaConf.from_cli(sys.argv[1:]))
    if not {"run", "output"} <= set(given):
        raise SystemExit("give run=FOLDS output=TABLE.csv")
    run, output = Path(given.pop("run")), Path(given.pop("output"))
    settings = Settings(**given)
    folds = read_folds(run)
    if read_model(folds[0]).pose is not None:
        raise SystemExit(
            f"run={run}: finds the pose first, registration takes scans as they lie; train it with "
            f"pose=as_scanned"
        )
    surveyed, record = survey_of(folds[0])
    cases = {one.case.name: one for one in surveyed.cases}
    volumes = {name: load_volume(path) for name, path in surveyed.volumes.items()}
    splits = [read_record(fold).split for fold in folds]
    jobs = [(split.train, name) for split in splits for name in split.test]
    errors, times, text = [], [], io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    with progress_bar(jobs, "registering", len(jobs)) as counted:
        for train, name in counted:
            chosen = evenly(train, settings.atlases)
            atlases = [(volumes[one], cases[one].landmarks_mm.double().numpy()) for one in chosen]
            began = perf_counter()
            found_mm = localise(volumes[name], atlases, settings)
            times.append(perf_counter() - began)
            errors.append(
                np.linalg.norm(found_mm - cases[name].landmarks_mm.double().numpy(), axis=1)
            )
            world = mm_to_world(found_mm, volumes[name].affine, record.grid).tolist()
            for landmark, point in zip(record.names, world, strict=True):
                writer.writerow([name, landmark, *map(csv_number, point), f"{times[-1]:.2f}"])
            write_text(output, text.getvalue())
    print(f"{settings}, {len(jobs)} cases")
    print(f"mean {np.nanmean(errors):.3f} mm, median {np.nanmedian(errors):.3f} mm, ", end="")
    print(f"{np.median(times):.1f} s per volume")


if __name__ == "__main__":
    main()

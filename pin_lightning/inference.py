"""Predict many volumes: Slicer markups for each, one CSV and one page for all."""

import csv
import glob
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import track

from pin_lightning.dicom import holds_dicom
from pin_lightning.entry import refuse_missing
from pin_lightning.error_bars import ErrorBars
from pin_lightning.files import output_folder, whole_file
from pin_lightning.geometry import Grid, times_as_long
from pin_lightning.images import read_header, stem
from pin_lightning.landmark_files import write_landmarks
from pin_lightning.pages.review_page import Review
from pin_lightning.planes.files import cut_slices, groups_of_run, refuse_overwriting, write_slices
from pin_lightning.planes.groups import PlaneGroup
from pin_lightning.planes.slices import PlaneSlice
from pin_lightning.predictor import Prediction, Predictor, check_count

log = logging.getLogger(__name__)

CSV_COLUMNS = ("volume", "file", "landmark", "frame", "x", "y", "z", "spread_mm", "seconds")
# After those, where the run has a calibration.
ERROR_BAR_COLUMNS = ("coverage", "radius_mm", "review")
FORMATS = ("mrk.json", "fcsv")
OTHER_SIZE = 2.0  # times as long as the longest side of the working grid, or as short, is a warning


def infer(config: DictConfig) -> int:
    """Predict every volume that a pattern names.

    Args:
        config: Composed from `conf/infer.yaml`.

    Returns:
        How many volumes could not be predicted; each is named, the others are finished.

    Raises:
        ValueError: The run folder, the pattern or the output folder is wrong.
    """
    refuse_missing(config)
    ending = _check_format(config.format)
    for setting in ("batch_size", "readers"):
        check_count(setting, config[setting])
    _check_review_page(config.review_page)
    predictor = Predictor.load(config.run, config.device)
    error_bars = _error_bars(predictor, config)
    if config.num_starts is not None:
        predictor.localizer.set_starts(config.num_starts)
    inputs = find_inputs(config.input)
    planes = _planes(config, predictor, inputs)
    output = output_folder("output", config.output)
    review = Review(predictor.names, error_bars)
    results = predictor.predict_many(inputs.values(), config.batch_size, config.readers)
    with closing(results), _table(output / "landmarks.csv", error_bars) as add:
        named = zip(inputs, results, strict=True)
        for name, (path, result) in track(named, "predicting", len(inputs), transient=True):
            found = _with_slices(path, result, planes)
            if isinstance(found, ValueError):
                review.add_failed(name, path, str(found))
                log.error("%s: %s", name, found)
                continue
            prediction, slices = found
            _warn_of_size(name, path, predictor.localizer.grid)
            _warn_of_outside(name, prediction)
            texts = _descriptions(prediction, error_bars)
            write_landmarks(output / f"{name}{ending}", prediction.landmarks, texts)
            write_slices(output, name, slices)
            add(name, path, prediction)
            review.add(name, path, prediction)
    if config.review_page:
        run = Path(config.run).resolve().name
        review.write(output, predictor.localizer.grid, config.review_page, run)
    failed = [name for name, _ in review.failed]
    log.info("%d of %d volumes predicted, in %s", len(inputs) - len(failed), len(inputs), output)
    if failed:
        log.error("%d not predicted: %s", len(failed), ", ".join(failed))
    return len(failed)


def _warn_of_size(name: str, path: Path, grid: Grid) -> None:
    """Say which volume is hardly of the kind that the run was trained on."""
    shape, affine = read_header(path)
    ratio = times_as_long(affine, shape, grid)
    if not 1 / OTHER_SIZE <= ratio <= OTHER_SIZE:
        log.warning(
            "%s: %.2g times as long as volumes in training; is it of their kind?", name, ratio
        )


def _warn_of_outside(name: str, prediction: Prediction) -> None:
    """Say which landmarks cannot be right."""
    if prediction.outside.any():
        pairs = zip(prediction.names, prediction.outside, strict=True)
        log.warning("%s: outside the volume: %s", name, ", ".join(n for n, out in pairs if out))


def _check_review_page(most: object) -> None:
    """Refuse what is no number of volumes to show."""
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise ValueError(f"review_page={most}: give a whole number of volumes, 0 for no page")


def _check_format(ending: str) -> str:
    """End of the names of landmark files."""
    if ending not in FORMATS:
        raise ValueError(f"format={ending}: give one of {', '.join(FORMATS)}")
    return f".{ending}"


def find_inputs(pattern: str | Sequence[str]) -> dict[str, Path]:
    """Images of a glob pattern (or several), or of a folder, by a unique name for their outputs.

    A folder of DICOM files is one image. Files of the same name in several folders are told apart
    by their folders' names.

    Raises:
        ValueError: No file matches.
    """
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    matches = [Path(path) for one in patterns for path in glob.glob(one, recursive=True)]
    if len(matches) == 1 and matches[0].is_dir() and not holds_dicom(matches[0]):
        matches = list(matches[0].iterdir())  # a folder of images
        matches = [path for path in matches if stem(path) and not path.name.startswith(".")]
    paths = {path for path in matches if path.is_file() or (path.is_dir() and holds_dicom(path))}
    # Slices of a series that is there as a whole are not volumes of their own.
    found = sorted(path for path in paths if path.parent not in paths)
    if not found:
        raise ValueError(f"input={pattern}: no file matches; quote the pattern, check the folder")
    return dict(zip(_unique_names(found), found, strict=True))


def _unique_names(paths: Sequence[Path]) -> list[str]:
    for depth in range(max(len(path.parts) for path in paths)):
        names = [
            "_".join([*path.parts[-1 - depth : -1], stem(path) or path.name]).replace(os.sep, "")
            for path in paths
        ]
        if len(set(names)) == len(names):
            return names
    # Only the endings differ, as in a.nii and a.nii.gz: then the whole file names are unique.
    return [path.name for path in paths]


def _with_slices(
    path: Path, result: Prediction | ValueError, planes: Sequence[PlaneGroup]
) -> tuple[Prediction, dict[str, PlaneSlice]] | ValueError:
    """A prediction with its slices, or what is wrong with the file."""
    if isinstance(result, ValueError):
        return result
    slices = cut_slices(path, result.landmarks, planes)
    return slices if isinstance(slices, ValueError) else (result, slices)


def _planes(
    config: DictConfig, predictor: Predictor, inputs: Mapping[str, Path]
) -> tuple[PlaneGroup, ...]:
    """Standard planes along which slices are written."""
    if not isinstance(config.planes, bool):
        raise ValueError(f"planes={config.planes}: give true or false")
    groups = groups_of_run(Path(config.run), predictor.names) if config.planes else ()
    refuse_overwriting(Path(config.output), inputs, groups)
    return groups


def _error_bars(predictor: Predictor, config: DictConfig) -> ErrorBars | None:
    """How radii are shown, none for a run without a calibration."""
    calibration, above_mm = predictor.calibration, config.review_above_mm
    if calibration is None:
        if above_mm is not None:
            raise ValueError(
                f"review_above_mm={above_mm}: run={config.run} has no error bars; give a folder of "
                f"python -m pin_lightning.cross_validate, or leave it out"
            )
        return None
    if config.num_starts is not None:
        log.warning("num_starts=%s: radii were fitted with another number", config.num_starts)
    return ErrorBars(calibration, above_mm)


@contextmanager
def _table(
    path: Path, error_bars: ErrorBars | None
) -> Iterator[Callable[[str, Path, Prediction], None]]:
    """A CSV to which predictions are added as they come; it appears when the block ends well.

    One row per volume and landmark, world RAS+ mm.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS if error_bars is None else CSV_COLUMNS + ERROR_BAR_COLUMNS)

        def add_rows(name: str, source: Path, prediction: Prediction) -> None:
            rows = _rows(prediction)
            bars = [[] for _ in rows] if error_bars is None else error_bars.cells(prediction)
            seconds = f"{prediction.seconds:.3f}"
            for row, bar in zip(rows, bars, strict=True):
                writer.writerow([name, source, *row, seconds, *bar])

        yield add_rows


def _rows(prediction: Prediction) -> list[list[str]]:
    return [
        [name, "RAS", *(f"{value:.4f}" for value in (*position, spread))]
        for name, position, spread in zip(
            prediction.names, prediction.positions_world, prediction.spread_mm, strict=True
        )
    ]


def _descriptions(prediction: Prediction, error_bars: ErrorBars | None) -> list[str]:
    pairs = zip(prediction.spread_mm, prediction.outside, strict=True)
    spreads = [
        f"{'outside the volume, ' if outside else ''}spread over starts {spread:.2f} mm"
        for spread, outside in pairs
    ]
    if error_bars is None:
        return spreads
    texts = error_bars.texts(prediction)
    return [f"{text}, {spread}" for text, spread in zip(texts, spreads, strict=True)]

"""Predict many volumes: Slicer markups for each and one CSV for all."""

import csv
import glob
import io
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import track

from pin_lightning.dicom import holds_dicom
from pin_lightning.entry import refuse_missing, user_mistake
from pin_lightning.files import output_folder, write_text
from pin_lightning.images import stem
from pin_lightning.landmark_files import write_landmarks
from pin_lightning.predictor import Prediction, Predictor

log = logging.getLogger(__name__)

CSV_COLUMNS = ("volume", "file", "landmark", "frame", "x", "y", "z", "spread_mm", "seconds")
FORMATS = ("mrk.json", "fcsv")


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
    predictor = Predictor.load(config.run, config.device)
    _override(predictor, config)
    inputs = find_inputs(config.input)
    output = output_folder("output", config.output)
    predictions: dict[str, tuple[Path, Prediction]] = {}
    failures: dict[str, str] = {}
    for name, path in track(inputs.items(), "predicting", transient=True):
        try:
            prediction = predictor.predict(path)
        except (ValueError, OSError) as error:
            failures[name] = str(user_mistake(error))
            log.error("%s: %s", name, failures[name])
            continue
        write_landmarks(output / f"{name}{ending}", prediction.landmarks, _descriptions(prediction))
        predictions[name] = (path, prediction)
    write_table(output / "landmarks.csv", predictions)
    log.info("%d of %d volumes predicted, in %s", len(predictions), len(inputs), output)
    if failures:
        log.error("%d not predicted: %s", len(failures), ", ".join(failures))
    return len(failures)


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


def write_table(path: Path, predictions: dict[str, tuple[Path, Prediction]]) -> None:
    """Write one CSV row per volume and landmark, world RAS+ mm; the file appears complete."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for name, (source, prediction) in predictions.items():
        for row in _rows(prediction):
            writer.writerow([name, source, *row, f"{prediction.seconds:.3f}"])
    write_text(path, text.getvalue())


def _rows(prediction: Prediction) -> list[list[str]]:
    return [
        [name, "RAS", *(f"{value:.4f}" for value in (*position, spread))]
        for name, position, spread in zip(
            prediction.names, prediction.positions_world, prediction.spread_mm, strict=True
        )
    ]


def _descriptions(prediction: Prediction) -> list[str]:
    return [f"spread over starts {spread:.2f} mm" for spread in prediction.spread_mm]


def _override(predictor: Predictor, config: DictConfig) -> None:
    localizer = predictor.localizer
    if config.num_starts is not None:
        localizer.num_starts = config.num_starts
        localizer.starts()  # refused now rather than with every volume

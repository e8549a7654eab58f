"""The folder of a cross-validation: a run folder for each fold, and the error bars of all.

``folds.json`` says how many folds there are, ``fold0``, ``fold1``, ... are ordinary run folders,
and ``calibration.json`` holds the error bars fitted on the cases that each fold did not see.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from pin_lightning.common.files import write_json
from pin_lightning.common.settings import check_count
from pin_lightning.data.usual_images import UsualImages
from pin_lightning.evaluation.conformal import Calibration, ConformalSettings
from pin_lightning.method.trajectory import LandmarkLocalizer
from pin_lightning.runs import folder
from pin_lightning.runs.formats import FORMAT_VERSION, read_versioned
from pin_lightning.runs.model import load_localizer

CALIBRATION = "calibration.json"
_ARRAYS = ("usual_error_mm", "factor", "median_radius_mm")


def fold_folder(run_dir: Path, fold: int) -> Path:
    """Return the run folder of a fold."""
    return run_dir / f"fold{fold}"


def is_finished(fold_dir: Path) -> bool:
    """Tell whether the run of a fold was trained and evaluated."""
    written = all((fold_dir / name).is_file() for name in (folder.RECORD, folder.PREDICTIONS))
    return written and not (fold_dir / folder.UNFINISHED).exists()


def is_folds_folder(run_dir: Path) -> bool:
    """Tell whether a folder is that of a cross-validation."""
    return (run_dir / folder.FOLDS).is_file()


def write_folds(run_dir: Path, folds: int) -> None:
    """Mark a folder as that of a cross-validation with a number of folds."""
    write_json(run_dir / folder.FOLDS, {"format_version": FORMAT_VERSION, "folds": folds})


def read_folds(run_dir: Path) -> list[Path]:
    """Run folders of all folds.

    Raises:
        ValueError: `folds.json` is damaged or of another version, or a fold is not finished.
    """
    count = read_versioned(run_dir / folder.FOLDS, _fold_count, _remedy(run_dir))
    folders = [fold_folder(run_dir, fold) for fold in range(count)]
    absent = [fold_dir.name for fold_dir in folders if not is_finished(fold_dir)]
    if absent:
        raise ValueError(
            f"run={run_dir}: {', '.join(absent)} of {count} folds not there or not finished; "
            f"{_remedy(run_dir)}"
        )
    return folders


def load_folds(
    run_dir: Path, trust_run: bool = False
) -> tuple[list[LandmarkLocalizer], folder.RunRecord]:
    """Localizers of all folds, and the record of the first, with the training images of all.

    Raises:
        ValueError: A fold is not finished or damaged, or the folds differ in their landmarks or
            working grids.
    """
    folders = read_folds(run_dir)
    loaded = [load_localizer(fold_dir, trust_run) for fold_dir in folders]
    first = loaded[0][1]
    for fold_dir, (_, record) in zip(folders, loaded, strict=True):
        if (found := folder.difference(record, first)) is not None:
            what, own, others = found
            raise ValueError(
                f"{fold_dir}: its {what} ({own}) differ from those of fold0 ({others}); "
                f"put the folds of one cross-validation together"
            )
    usual = [one.training_images for _, one in loaded if one.training_images is not None]
    if usual:
        first = replace(first, training_images=UsualImages.merged(usual))
    apart_mm = [one.apart_mm for _, one in loaded if one.apart_mm is not None]
    if apart_mm:
        # Within each fold, as in `merge`.
        first = replace(first, apart_mm=float(np.sqrt(np.mean(np.square(apart_mm)))))
    return [localizer for localizer, _ in loaded], first


def write_calibration(run_dir: Path, calibration: Calibration) -> None:
    """Write error bars as plain JSON, by the name of the landmark."""
    write_json(run_dir / CALIBRATION, calibration_json(calibration))


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """Error bars as plain JSON."""
    columns = zip(*(getattr(calibration, name).tolist() for name in _ARRAYS), strict=True)
    landmarks = [dict(zip(_ARRAYS, column, strict=True)) for column in columns]
    return {
        "format_version": FORMAT_VERSION,
        **asdict(calibration.settings),
        "num_cases": calibration.num_cases,
        "landmarks": dict(zip(calibration.names, landmarks, strict=True)),
    }


def read_calibration(run_dir: Path, names: tuple[str, ...]) -> Calibration | None:
    """Read the error bars of a folder whose predictor has the landmarks `names`; None without any.

    Raises:
        ValueError: `calibration.json` is damaged, of another version, or of other landmarks.
    """
    path = run_dir / CALIBRATION
    if not path.is_file():
        return None
    calibration = read_versioned(path, calibration_of, _remedy(run_dir))
    if calibration.names != names:
        raise ValueError(
            f"{path}: is of the landmarks {', '.join(calibration.names)}, the run has "
            f"{', '.join(names)}; restore or delete it"
        )
    return calibration


def _fold_count(content: dict[str, Any]) -> int:
    check_count("folds", content["folds"], least=2)
    return int(content["folds"])


def calibration_of(content: dict[str, Any]) -> Calibration:
    """Error bars from what `calibration_json` gives.

    Raises:
        ValueError: A number is wrong.
    """
    settings = ConformalSettings(content["coverage"], content["spread_weight"], content["pooled"])
    landmarks = content["landmarks"]
    arrays = [np.array([float(one[name]) for one in landmarks.values()]) for name in _ARRAYS]
    if not all(np.isfinite(values).all() for values in arrays):
        raise ValueError("a number is not finite")
    return Calibration(settings, tuple(landmarks), int(content["num_cases"]), *arrays)


def _remedy(run_dir: Path) -> str:
    return f"start pin-lightning cross-validate again with run_dir={run_dir}"


def config_of(run_dir: Path) -> DictConfig:
    """Resolved settings of a run or of a cross-validation.

    Raises:
        ValueError: The folder is not that of a run, or damaged.
    """
    if is_folds_folder(run_dir) and not (run_dir / folder.CONFIG).is_file():  # of old versions
        return folder.read_config(read_folds(run_dir)[0])
    return folder.read_config(run_dir)

"""Settings of a prediction: their checks, and what of them is noted in its folder."""

import logging
from collections.abc import Sequence
from importlib.metadata import version

from omegaconf import DictConfig

from pin_lightning.common.settings import check_count, check_flag
from pin_lightning.inference.dicom_reports import refuse_without_highdicom
from pin_lightning.inference.header import PredictionHeader
from pin_lightning.inference.outputs import FORMATS
from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.fingerprint import run_fingerprint
from pin_lightning.runs.found import found_run
from pin_lightning.runs.predictor import Predictor

RETRY, LOGS = ("none", "failed"), ("text", "json")

log = logging.getLogger(__name__)


def check_settings(config: DictConfig) -> None:
    """Refuse wrong settings before anything is loaded.

    Raises:
        ValueError: One is wrong.
    """
    for setting, known in (("format", FORMATS), ("retry", RETRY), ("log", LOGS)):
        if config[setting] not in known:
            raise ValueError(f"{setting}={config[setting]}: give one of {', '.join(known)}")
    for setting in ("batch_size", "readers"):
        check_count(setting, config[setting])
    check_count("review_page", config.review_page, least=0)
    for setting in ("planes", "dicom", "overwrite"):
        check_flag(setting, config[setting])
    if config.dicom:
        refuse_without_highdicom()
    if config.num_starts is not None:
        check_count("num_starts", config.num_starts)


def header_of(predictor: Predictor, planes: Sequence[str], config: DictConfig) -> PredictionHeader:
    """What predicts, as it is noted in the output folder.

    Args:
        predictor: Of the run.
        planes: Names of the planes along which slices are written.
        config: Composed from `conf/infer.yaml`.

    Raises:
        ValueError: The limit of radii is wrong, or the run has no radii.
    """
    calibration, above_mm = predictor.calibration, config.review_above_mm
    run = found_run(config.run).resolve()
    if calibration is None and above_mm is not None:
        raise ValueError(
            f"review_above_mm={above_mm}: run={config.run} has no error bars; give a folder of "
            f"pin-lightning cross-validate, or leave it out"
        )
    if calibration is not None:
        ErrorBars(calibration, above_mm)  # refuses a wrong limit
        if config.num_starts is not None:
            log.warning("num_starts=%s: radii were fitted with another number", config.num_starts)
    return PredictionHeader(
        run=run.name,
        fingerprint=run_fingerprint(run),
        version=version("pin-lightning"),
        format=config.format,
        planes=tuple(planes),
        num_starts=config.num_starts,
        review_above_mm=None if above_mm is None else float(above_mm),
        names=predictor.names,
        grid=predictor.localizer.grid,
        with_pose=predictor.locator is not None,
        calibration=calibration,
        dicom=config.dicom,
    )

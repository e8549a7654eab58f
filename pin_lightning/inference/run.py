"""Predict many volumes: Slicer markups for each, one table and one page for all."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from omegaconf import DictConfig

from pin_lightning.common.ownership import owned_folder
from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.common.settings import check_count, check_flag, refuse_missing
from pin_lightning.inference.beginning import (
    MOST_NAMED,
    begin,
    part_lists,
    remove_tables,
    remove_unfinished,
    some,
)
from pin_lightning.inference.dicom_reports import refuse_without_highdicom
from pin_lightning.inference.files import InputFile, LocalInput
from pin_lightning.inference.header import PredictionHeader
from pin_lightning.inference.inputs import find_inputs, named_as_before
from pin_lightning.inference.lines import say, say_nothing_else, volume_line
from pin_lightning.inference.merging import merge_folder
from pin_lightning.inference.outputs import FORMATS, VolumeOutputs
from pin_lightning.inference.overlap import refuse_overlap
from pin_lightning.inference.part import Part
from pin_lightning.inference.plane_slices import groups_of_run
from pin_lightning.inference.records import Failed, Record, Records
from pin_lightning.inference.work import what_is_left
from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.fingerprint import run_fingerprint
from pin_lightning.runs.predictor import Predictor

RETRY, LOGS = ("none", "failed"), ("text", "json")

log = logging.getLogger(__name__)


def infer(config: DictConfig) -> int:
    """Predict the volumes that a pattern names and that are not predicted yet, or a part of them.

    Args:
        config: Composed from `conf/infer.yaml`.

    Returns:
        Number of volumes that could not be predicted, now or before; each is named, and the others
        are finished.

    Raises:
        ValueError: The run folder, the pattern, the output folder or a setting is wrong.
    """
    refuse_missing(config)
    _check_settings(config)
    if config.dicom:
        refuse_without_highdicom()
    part = Part.of(config.part)
    if config.log == "json":
        say_nothing_else()
    predictor = Predictor.load(config.run, config.device, config.trust_run)
    if config.num_starts is not None:
        predictor.localizer.set_starts(config.num_starts)
    inputs, folder = find_inputs(config.input, part.holds), Path(config.output)
    if not config.overwrite:
        known = {key: name for one in part_lists(folder) for name, key in one.volumes.items()}
        inputs = named_as_before(inputs, known)
    local = [one.file.path for one in inputs.values() if isinstance(one.file, LocalInput)]
    refuse_overlap(config.output, config.input, local)
    planes = groups_of_run(Path(config.run), predictor.names) if config.planes else ()
    header = _header(predictor, [plane.name for plane in planes], config)
    with owned_folder("output", folder, None if part.is_whole else part.file_name):
        if part.is_whole:  # nobody else writes here
            remove_unfinished(folder)
        volumes = {name: one.key for name, one in inputs.items()}
        begin(folder, header, part, volumes, config.overwrite)
        work = what_is_left(folder, header, inputs, config.retry == "failed")
        if work.done or work.failed:
            before = (work.done, len(work.failed), len(work.todo))
            log.info("%d volumes predicted before, %d failed before, %d to do", *before)
        if work.todo:
            remove_tables(folder)
        outputs = VolumeOutputs(folder, header, planes, config.review_page > 0)
        failed = [*work.failed, *_predict(predictor, outputs, work.todo, config)]
        if part.is_whole:
            merge_folder(folder, config.review_page)
    _say_end(config, part, len(inputs), failed)
    return len(failed)


def _predict(
    predictor: Predictor, outputs: VolumeOutputs, todo: Mapping[str, InputFile], config: DictConfig
) -> list[str]:
    """Predict volumes; returns the names of those that failed."""
    stamps, failed = dict[str, str](), list[str]()

    def files() -> Iterator[InputFile]:
        for name, file in todo.items():
            stamps[name] = file.stamp()  # before it is read
            yield file

    settings = (config.batch_size, config.readers, bool(outputs.planes))
    results = predictor.localise_many(files(), *settings)
    records, by = Records(outputs.folder), outputs.header.by
    named = zip(todo.items(), results, strict=True)
    with closing(results), progress_bar(named, "predicting", len(todo)) as counted:
        for (name, file), (_, result) in counted:
            one = outputs.write(name, file.shown, result)
            records.write(Record(one, file.source, stamps.pop(name), by))
            if isinstance(one, Failed):
                failed.append(name)
            if config.log == "json":
                say(**volume_line(one))
    return failed


def _say_end(config: DictConfig, part: Part, number: int, failed: list[str]) -> None:
    what = "" if part.is_whole else f"part {part}: "
    predicted = number - len(failed)
    log.info("%s%d of %d volumes predicted, in %s", what, predicted, number, config.output)
    if failed:
        log.error("%d not predicted: %s", len(failed), some(failed, MOST_NAMED))
    if config.log == "json":
        state = {"state": "finished", "part": str(part)}
        say(**state, volumes=number, predicted=predicted, failed=len(failed))


def _header(predictor: Predictor, planes: list[str], config: DictConfig) -> PredictionHeader:
    calibration, above_mm = predictor.calibration, config.review_above_mm
    run = Path(config.run).resolve()
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
        review_above_mm=above_mm,
        names=predictor.names,
        grid=predictor.localizer.grid,
        with_pose=predictor.locator is not None,
        calibration=calibration,
        dicom=config.dicom,
    )


def _check_settings(config: DictConfig) -> None:
    for setting, known in (("format", FORMATS), ("retry", RETRY), ("log", LOGS)):
        if config[setting] not in known:
            raise ValueError(f"{setting}={config[setting]}: give one of {', '.join(known)}")
    for setting in ("batch_size", "readers"):
        check_count(setting, config[setting])
    check_count("review_page", config.review_page, least=0)
    for setting in ("planes", "dicom", "overwrite"):
        check_flag(setting, config[setting])
    if config.num_starts is not None:
        check_count("num_starts", config.num_starts)

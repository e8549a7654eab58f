"""Predict many volumes: Slicer markups for each, one CSV and one page for all."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from omegaconf import DictConfig

from pin_lightning.common.files import output_folder
from pin_lightning.common.ownership import owned_folder
from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.common.settings import check_count, check_flag, refuse_missing
from pin_lightning.distributed.group import ends_together, speak_if_first, strategy_name
from pin_lightning.distributed.ranks import Shard, is_first
from pin_lightning.inference.inputs import find_inputs, names_standard_input
from pin_lightning.inference.outputs import FORMATS, VolumeOutputs, landmark_table
from pin_lightning.inference.overlap import refuse_overlap
from pin_lightning.inference.parts import (
    Failed,
    read_parts,
    slices_path,
    without_parts,
    writing_part,
)
from pin_lightning.inference.plane_slices import groups_of_run
from pin_lightning.inference.processes import Alone, Together, prediction_processes
from pin_lightning.inference.record import recorded
from pin_lightning.reports.pages.review_page import Review
from pin_lightning.reports.pages.thumbnails import MiddleSlices
from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.predictor import Predictor

log = logging.getLogger(__name__)


def infer(config: DictConfig) -> int:
    """Predict every volume that a pattern names.

    Args:
        config: Composed from `conf/infer.yaml`.

    Returns:
        Number of volumes that could not be predicted; each is named, and the others are finished.
        0 in all processes but the first, which counts for all.

    Raises:
        ValueError: The run folder, the pattern, the output folder or a setting is wrong.
    """
    speak_if_first(logging.WARNING)
    refuse_missing(config)
    _check_settings(config)
    strategy, number = config.trainer.strategy, (config.devices, config.num_nodes)
    processes = prediction_processes(strategy_name(strategy), *number)
    if names_standard_input(config.input) and isinstance(processes, Together):
        raise ValueError(
            "input=-: is read by one process alone; with strategy=ddp give input=@FILE"
        )
    predictor = Predictor.load(config.run, processes.device(config.device), config.trust_run)
    error_bars = _error_bars(predictor, config)
    if config.num_starts is not None:
        predictor.localizer.set_starts(config.num_starts)
    inputs = find_inputs(config.input)
    planes = groups_of_run(Path(config.run), predictor.names) if config.planes else ()
    refuse_overlap(config.output, config.input, inputs.values())
    folder, grid = output_folder("output", config.output), predictor.localizer.grid
    kept = config.review_page > 0
    outputs = VolumeOutputs(folder, config.format, planes, error_bars, grid, kept)
    review = Review(predictor.names, error_bars)
    run = Path(config.run).resolve().name
    with _own(folder, run, outputs, inputs, config.replace) if is_first() else nullcontext():
        names, shard = _predict(processes, predictor, outputs, inputs, config)
        if shard.rank > 0:
            return 0
        _merge(folder, review, names, shard.count, predictor.locator is not None)
        if config.review_page:
            slices = lambda name: MiddleSlices.load(slices_path(folder, name))  # noqa: E731
            review.write(folder, grid, config.review_page, run, slices)
    failed = [name for name, _ in review.failed]
    log.info("%d of %d volumes predicted, in %s", len(names) - len(failed), len(names), folder)
    if failed:
        log.error("%d not predicted: %s", len(failed), ", ".join(failed))
    return len(failed)


@contextmanager
def _own(
    folder: Path,
    run: str,
    outputs: VolumeOutputs,
    inputs: Mapping[str, Path],
    replace: bool,
) -> Iterator[None]:
    """Keep others out of the output folder, and record what is written there."""
    files = {name: outputs.files(name) for name in inputs}
    with (
        owned_folder("output", folder),
        recorded(folder, run, files, replace),
        without_parts(folder),
    ):
        yield


def _predict(
    processes: Alone | Together,
    predictor: Predictor,
    outputs: VolumeOutputs,
    inputs: Mapping[str, Path],
    config: DictConfig,
) -> tuple[list[str], Shard]:
    """Predict this process's volumes, wait for the others, return all names and its shard."""
    with ends_together(processes.launcher):
        processes.start()
        inputs = processes.of_first(inputs)  # a file may have come since: all have one list
        shard = processes.shard
        own = dict(shard.of(list(inputs.items())))
        settings = (config.batch_size, config.readers)
        results = predictor.localise_many(own.values(), *settings, bool(outputs.planes))
        named = zip(own, results, strict=True)
        with (
            closing(results),
            writing_part(outputs.folder, shard.rank) as add,
            progress_bar(named, "predicting", len(own), quiet=shard.rank > 0) as counted,
        ):
            for name, (path, result) in counted:
                add(outputs.write(name, path, result))
        if shard.count > 1:
            log.info("own %d volumes done, waiting for the other processes", len(own))
        processes.wait()
    return list(inputs), shard


def _merge(folder: Path, review: Review, names: Sequence[str], count: int, with_pose: bool) -> None:
    columns = (review.names, review.error_bars, with_pose)
    with landmark_table(folder / "landmarks.csv", *columns) as add:
        for one in read_parts(folder, count, names):
            if isinstance(one, Failed):
                review.add_failed(one.name, one.path, one.reason)
            else:
                add(one)
                review.volumes.append(one)


def _check_settings(config: DictConfig) -> None:
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format}: give one of {', '.join(FORMATS)}")
    for setting in ("batch_size", "readers"):
        check_count(setting, config[setting])
    check_count("review_page", config.review_page, least=0)
    for setting in ("planes", "replace"):
        check_flag(setting, config[setting])
    if config.num_starts is not None:
        check_count("num_starts", config.num_starts)


def _error_bars(predictor: Predictor, config: DictConfig) -> ErrorBars | None:
    calibration, above_mm = predictor.calibration, config.review_above_mm
    if calibration is None:
        if above_mm is not None:
            raise ValueError(
                f"review_above_mm={above_mm}: run={config.run} has no error bars; give a folder of "
                f"pin-lightning cross-validate, or leave it out"
            )
        return None
    if config.num_starts is not None and is_first():
        log.warning("num_starts=%s: radii were fitted with another number", config.num_starts)
    return ErrorBars(calibration, above_mm)

"""Predict many volumes: Slicer markups for each, one table and one page for all."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from omegaconf import DictConfig

from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.common.settings import refuse_missing
from pin_lightning.inference.beginning import (
    MOST_NAMED,
    at_work,
    part_lists,
    remove_tables,
    some,
)
from pin_lightning.inference.files import InputFile, LocalInput
from pin_lightning.inference.inputs import Input, find_inputs, named_as_before
from pin_lightning.inference.lines import say, say_nothing_else, volume_line
from pin_lightning.inference.merging import merge_folder
from pin_lightning.inference.outputs import VolumeOutputs
from pin_lightning.inference.overlap import refuse_overlap
from pin_lightning.inference.part import AnyPart, Part
from pin_lightning.inference.plane_slices import groups_of_run
from pin_lightning.inference.records import Failed, Record, Records
from pin_lightning.inference.settings import check_settings, header_of
from pin_lightning.inference.stamps import UNKNOWN
from pin_lightning.inference.work import what_is_left
from pin_lightning.runs.found import found_run
from pin_lightning.runs.predictor import Predictor
from pin_lightning.runs.volume_file import NotNow

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
    part = Part.of(config.part)
    if config.log == "json":
        say_nothing_else()
    predictor = load_predictor(config)
    inputs, folder = find_inputs(config.input, part.holds), Path(config.output)
    if not (config.overwrite and part.is_whole):
        known = {key: name for one in part_lists(folder) for name, key in one.volumes.items()}
        inputs = named_as_before(inputs, known)
    local = [one.file.path for one in inputs.values() if isinstance(one.file, LocalInput)]
    refuse_overlap(config.output, config.input, local)
    return len(predict_part(config, predictor, inputs, part))


def load_predictor(config: DictConfig) -> Predictor:
    """Load what predicts.

    Args:
        config: As of `infer`, but that neither `input` nor `output` is needed.

    Raises:
        ValueError: The run folder or a setting is wrong.
    """
    check_settings(config)
    predictor = Predictor.load(config.run, config.device, config.trust_run)
    if config.num_starts is not None:
        predictor.localizer.set_starts(config.num_starts)
    return predictor


def predict_part(
    config: DictConfig, predictor: Predictor, inputs: Mapping[str, Input], part: AnyPart
) -> list[str]:
    """Predict what is not done of a part; of the whole, make the tables and the page, too.

    Args:
        config: As of `infer`, but that `input` and `part` say nothing.
        predictor: From `load_predictor`.
        inputs: Volumes of the part by the names of their outputs.
        part: The part.

    Returns:
        Names of the volumes of the part that could not be predicted, now or before.

    Raises:
        ValueError: The output folder holds something else, or another program works in it.
    """
    folder = Path(config.output)
    planes = groups_of_run(found_run(config.run), predictor.names) if config.planes else ()
    header = header_of(predictor, [plane.name for plane in planes], config)
    volumes = {name: one.key for name, one in inputs.items()}
    with at_work(folder, header, part, volumes, config.overwrite):
        work = what_is_left(folder, header, inputs, config.retry == "failed")
        if work.done or work.failed:
            before = (work.done, len(work.failed), len(work.todo))
            log.info("%d volumes predicted before, %d failed before, %d to do", *before)
        if work.todo:
            remove_tables(folder)
        outputs = VolumeOutputs(folder, header, planes, config.review_page > 0)
        failed = [*work.failed, *predict_volumes(predictor, outputs, work.todo, config)]
        if part.is_whole:
            merge_folder(folder, config.review_page)
    _say_end(config, part, len(inputs), failed)
    return failed


def predict_volumes(
    predictor: Predictor, outputs: VolumeOutputs, todo: Mapping[str, InputFile], config: DictConfig
) -> list[str]:
    """Predict volumes, write their files and records, and say what became of each.

    Args:
        predictor: From `load_predictor`.
        outputs: Writes their files.
        todo: The volumes by the names of their outputs.
        config: As of `predict_part`.

    Returns:
        Names of those that failed.
    """
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
            stamp = stamps.pop(name)
            if isinstance(result, NotNow):
                stamp = UNKNOWN  # it is tried again the next time
            records.write(Record(one, file.source, stamp, by))
            if isinstance(one, Failed):
                failed.append(name)
            if config.log == "json":
                say(**volume_line(one))
    return failed


def _say_end(config: DictConfig, part: AnyPart, number: int, failed: list[str]) -> None:
    what = "" if part.is_whole else f"part {part}: "
    predicted = number - len(failed)
    log.info("%s%d of %d volumes predicted, in %s", what, predicted, number, config.output)
    if failed:
        log.error("%d not predicted: %s", len(failed), some(failed, MOST_NAMED))
    if config.log == "json":
        state = {"state": "finished", "part": str(part)}
        say(**state, volumes=number, predicted=predicted, failed=len(failed))

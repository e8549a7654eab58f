"""The two levels of a BIDS App: the participants, and the group."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from pin_lightning.cli.config_tree import composed
from pin_lightning.common.files import remove_leftovers
from pin_lightning.common.ownership import owned_folder
from pin_lightning.inference.beginning import MOST_NAMED, part_lists, some
from pin_lightning.inference.bids.data_set import (
    PREDICTIONS,
    check_data_set,
    refuse_other_data_set,
    write_data_set,
)
from pin_lightning.inference.bids.derivatives import remove_temporary, write_derivatives
from pin_lightning.inference.bids.group_table import remove_group_table, write_group_table
from pin_lightning.inference.bids.images import BidsImage, Wanted, find_images
from pin_lightning.inference.bids.strays import remove_strays
from pin_lightning.inference.files import LocalInput
from pin_lightning.inference.header import HEADER, PredictionHeader, read_header
from pin_lightning.inference.inputs import Input
from pin_lightning.inference.merging import merge_folder
from pin_lightning.inference.part import AnyPart, Part
from pin_lightning.inference.records import Records
from pin_lightning.inference.run import load_predictor, predict_part
from pin_lightning.runs.folds import config_of
from pin_lightning.runs.found import found_run

SUFFIXES = ("T1w", "T2w")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A command line.

    Attributes:
        root: ``BIDS_DIR``.
        output: ``OUTPUT_DIR``.
        participants: Labels of participants; None takes all.
        sessions: Labels of sessions; None takes all.
        suffixes: Suffixes of images; None takes `SUFFIXES` and that of the run's training.
        skip_validation: Do not look whether `root` says that it is a BIDS data set.
        review_page: Images on ``review.html``.
        settings: Settings of `conf/infer.yaml` by their names, the run among them.
    """

    root: Path
    output: Path
    participants: Sequence[str] | None
    sessions: Sequence[str] | None
    suffixes: Sequence[str] | None
    skip_validation: bool
    review_page: int
    settings: dict[str, Any]

    @property
    def is_narrow(self) -> bool:
        """Whether only some images of each participant are asked for."""
        return self.sessions is not None or self.suffixes is not None


def participant_level(asked: Asked) -> bool:
    """Predict the images of participants that are not predicted yet, and write their derivatives.

    Participants that are named are worked on one by one, so that other processes can work on others
    at the same time; else one process works on all.

    Returns:
        Whether all images that were asked for are predicted.

    Raises:
        ValueError: A folder, a label or a setting is wrong, or another program is at work.
    """
    config = _config(asked)
    suffixes = asked.suffixes or _suffixes_of_run(found_run(config.run))
    images = _images(asked, suffixes)
    predictor = load_predictor(config)
    parts: list[AnyPart] = [Part()]
    if asked.participants is not None or (config.overwrite and asked.is_narrow):
        parts = list(dict.fromkeys(one.participant for one in images.values()))
    failed = list[str]()
    for part in parts:
        own = {name: one for name, one in images.items() if part.holds(one.key)}
        inputs = {name: Input(LocalInput(one.path), one.key) for name, one in own.items()}
        with owned_folder("OUTPUT_DIR", asked.output, None if part.is_whole else part.file_name):
            with _in_words_of_the_app():
                failed += predict_part(config, predictor, inputs, part)
            header = _header(asked.output)
            write_data_set(asked.output, asked.root, header)
            remove_temporary(asked.output, own.values())
            if write_derivatives(asked.output, own.values(), header):
                remove_group_table(asked.output)
            if part.is_whole:
                _tidy(asked.output, header)
    log.info("%d of %d images predicted", len(images) - len(failed), len(images))
    return not failed


def group_level(asked: Asked) -> bool:
    """Make the tables and the page of all participants, and say what is missing.

    Returns:
        Whether all images are predicted.

    Raises:
        ValueError: A folder or a label is wrong, or nothing has been predicted.
    """
    folder = asked.output / PREDICTIONS
    if not (folder / HEADER).is_file():
        raise ValueError(
            f"OUTPUT_DIR={asked.output}: has no {PREDICTIONS}/{HEADER}; run the participant level "
            f"into it first"
        )
    header = _header(asked.output)
    suffixes = asked.suffixes or _suffixes_predicted(folder)
    images = _images(asked, suffixes)
    merge_folder(folder, asked.review_page)
    write_data_set(asked.output, asked.root, header)
    with ExitStack() as held:
        try:
            held.enter_context(owned_folder("OUTPUT_DIR", asked.output))
        except ValueError as error:  # what they write is theirs
            log.warning("participants are being predicted: %s", error)
        else:
            remove_temporary(asked.output, images.values())
            write_derivatives(asked.output, images.values(), header)
            _tidy(asked.output, header)
    failed, missing = write_group_table(asked.output, images.values(), header)
    number = len(images) - len(failed) - len(missing)
    log.info("%d of %d images predicted, in %s", number, len(images), asked.output)
    if failed:
        log.error("failed: %s; %s/failed.csv says why", some(failed, MOST_NAMED), PREDICTIONS)
    if missing:
        log.error("missing: %d images, %s", len(missing), some(missing, MOST_NAMED))
    return not failed and not missing


def _config(asked: Asked) -> DictConfig:
    config = composed("infer")
    for setting, value in asked.settings.items():
        if value is not None:
            config[setting] = value
    config.output, config.review_page = str(asked.output / PREDICTIONS), asked.review_page
    return config


def _images(asked: Asked, suffixes: Sequence[str]) -> dict[str, BidsImage]:
    if not asked.root.is_dir():
        raise ValueError(f"BIDS_DIR={asked.root}: is no folder; give that of a BIDS data set")
    if not asked.skip_validation:
        check_data_set(asked.root)
    refuse_other_data_set(asked.output, asked.root)
    return find_images(asked.root, Wanted(asked.participants, asked.sessions, suffixes))


def _suffixes_of_run(run: Path) -> list[str]:
    """`SUFFIXES`, and that of the scans of a run that was trained on `data=bids`."""
    own = config_of(run).data.get("suffix")
    return list(dict.fromkeys([*SUFFIXES, *([own] if isinstance(own, str) else [])]))


def _suffixes_predicted(folder: Path) -> list[str]:
    names = [name for one in part_lists(folder) for name in one.volumes]
    names += Records(folder).names()
    return sorted({name.rpartition("_")[2] for name in names}) or list(SUFFIXES)


def _header(output: Path) -> PredictionHeader:
    header = read_header(output / PREDICTIONS)
    if not isinstance(header, PredictionHeader):
        raise ValueError(
            f"OUTPUT_DIR={output}: was predicted by an earlier version; predict again into another "
            f"one"
        )
    return header


def _tidy(output: Path, header: PredictionHeader) -> None:
    """Remove what killed processes, and predictions that were overwritten, left behind."""
    remove_leftovers(output)
    remove_strays(output, header)


@contextmanager
def _in_words_of_the_app() -> Iterator[None]:
    """Let messages name the option of the app instead of the setting of `infer`."""
    try:
        yield
    except ValueError as error:
        raise ValueError(str(error).replace("overwrite=true", "--overwrite")) from error

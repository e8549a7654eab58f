"""Tables and page of all volumes that are done in a folder, whoever predicted them.

Volumes are read one by one, so that memory does not grow with their number.
"""

import hashlib
import heapq
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from pin_lightning.common.files import output_folder
from pin_lightning.common.ownership import owned_folder, refuse_parts
from pin_lightning.common.settings import check_count, refuse_missing
from pin_lightning.common.types import Float
from pin_lightning.inference.beginning import (
    MOST_NAMED,
    beginning,
    part_lists,
    remove_unfinished,
    some,
)
from pin_lightning.inference.header import HEADER, PredictionHeader, read_header
from pin_lightning.inference.part import Part
from pin_lightning.inference.records import Failed, Records
from pin_lightning.inference.tables import failed_table, landmark_table
from pin_lightning.reports.pages.review_page import PAGE, Review
from pin_lightning.runs.doubts import Reviewed, usual_of

LEAST_VOXELS = 0.1  # of a usual spread; less is nothing to look at
MOST_COMPARED = 1000  # volumes of which the usual spread is the median

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Merged:
    """Numbers of volumes.

    Attributes:
        predicted: Predicted ones.
        failed: Names of those that could not be predicted.
        missing: Names of those that a part set out to predict and has not done.
        not_begun: Parts of which nothing is known.
    """

    predicted: int
    failed: tuple[str, ...]
    missing: tuple[str, ...]
    not_begun: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing and not self.not_begun


def merge(config: DictConfig) -> bool:
    """Make the tables of a folder, and say what is missing.

    Args:
        config: Composed from `conf/merge.yaml`.

    Returns:
        Whether all volumes are predicted.

    Raises:
        ValueError: The folder is not that of a prediction, or a setting is wrong.
    """
    refuse_missing(config)
    check_count("review_page", config.review_page, least=0)
    if not Path(config.output, HEADER).is_file():
        raise ValueError(
            f"output={config.output}: has no {HEADER}; give a folder that infer has written"
        )
    folder = output_folder("output", config.output)
    with owned_folder("output", folder, "merge"):
        with beginning(folder), suppress(ValueError):  # else parts are at work
            refuse_parts("output", folder, "merge")
            remove_unfinished(folder)
        merged = merge_folder(folder, config.review_page)
    log.info("%d volumes predicted, %d failed, in %s", merged.predicted, len(merged.failed), folder)
    if merged.failed:
        log.error("failed: %s; failed.csv has the reasons", some(merged.failed, MOST_NAMED))
    if merged.missing:
        log.error("missing: %d volumes, %s", len(merged.missing), some(merged.missing, MOST_NAMED))
    if merged.not_begun:
        log.error("missing: part %s, not begun", some(merged.not_begun, MOST_NAMED))
    return merged.is_complete and not merged.failed


def merge_folder(folder: Path, review_page: int) -> Merged:
    """Write ``landmarks.csv``, ``failed.csv`` and ``review.html``.

    Args:
        folder: Output folder.
        review_page: Volumes on the page; none writes no page.
    """
    header = read_header(folder)
    if not isinstance(header, PredictionHeader):
        raise ValueError(
            f"output={folder}: was predicted by an earlier version; predict again into another one"
        )
    names, records, bars = header.names, Records(folder), header.error_bars
    usual_mm = np.ones(len(names)) if bars else _usual_mm(_volumes(records, header), len(names))
    usual_mm = np.maximum(usual_mm, LEAST_VOXELS * header.grid.spacing_mm)
    review = Review(names, bars, usual_mm, review_page)
    failed, done = list[str](), set[str]()
    with (
        landmark_table(folder / "landmarks.csv", names, bars, header.with_pose) as add,
        failed_table(folder / "failed.csv") as add_failed,
    ):
        for one in _volumes(records, header):
            done.add(one.name)
            if isinstance(one, Failed):
                failed.append(one.name)
                add_failed(one)
                review.add_failed(one.name, one.file, one.reason)
            else:
                add(one)
                review.add(one)
    if review_page:
        review.write(folder, header.grid, header.run, records.slices)
    else:
        (folder / PAGE).unlink(missing_ok=True)
    missing, not_begun = _missing(folder, done)
    return Merged(review.total, tuple(failed), missing, not_begun)


def _volumes(records: Records, header: PredictionHeader) -> Iterator[Reviewed | Failed]:
    return (record.one for record in records if record.by == header.by)


def _missing(folder: Path, done: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of volumes, and parts, that are not done."""
    missing, begun, last = dict[str, None](), dict[int, set[int]](), (0, 1)
    for listed in part_lists(folder):
        missing.update(dict.fromkeys(name for name in listed.volumes if name not in done))
        if isinstance(listed.part, Part):  # of participants none knows how many there are
            begun.setdefault(listed.part.count, set()).add(listed.part.number)
            last = max(last, (listed.since, listed.part.count))
    count = last[1]  # of the parts that began last; those of other numbers are of before
    numbers = sorted(set(range(1, count + 1)) - begun.get(count, {1}))
    return tuple(missing), tuple(f"{number}/{count}" for number in numbers)


def _usual_mm(volumes: Iterator[Reviewed | Failed], landmarks: int) -> Float[np.ndarray, " L"]:
    """Usual spread of each landmark: of very many volumes, of `MOST_COMPARED` by their hash."""
    chosen = list[tuple[int, str, np.ndarray]]()
    for one in volumes:
        if isinstance(one, Reviewed):
            rank = -int.from_bytes(hashlib.sha256(one.name.encode()).digest()[:8], "big")
            heapq.heappush(chosen, (rank, one.name, one.doubt_mm))
            if len(chosen) > MOST_COMPARED:
                heapq.heappop(chosen)
    if not chosen:
        return np.ones(landmarks)
    return usual_of(np.stack([doubt_mm for *_, doubt_mm in chosen]))

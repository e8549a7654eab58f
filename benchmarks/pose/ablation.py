"""Ablation of the pose stage alone: one split, each time one thing otherwise."""

import copy
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from omegaconf import DictConfig

from pin_lightning.common.alignment import fit_pose
from pin_lightning.common.precision import training_device
from pin_lightning.data.survey import Survey
from pin_lightning.method.pose import samples
from pin_lightning.method.pose.finder import FoundPose, PoseFinder, Which
from pin_lightning.method.pose.limits import Judged
from pin_lightning.method.pose.network import PoseOutputs
from pin_lightning.runs.folder import LAST_CHECKPOINT
from pin_lightning.runs.model_record import ModelRecord
from pin_lightning.runs.pose_stage import PoseRecord, build_finder, load_weights
from pin_lightning.training.plan import prepare_run
from pin_lightning.training.pose.fit import PoseCases, fit_pose_stage, pose_cases
from pin_lightning.training.run import survey_data
from pose.given import composed, own_settings
from pose.tables import median_and_most, number, show
from pose.template import TemplateSearch

log = logging.getLogger(__name__)
HEADER = ("variant", "poses right", "rotation error, degrees: median, largest")
HEADER += ("position error, mm: median, largest", "mean shape put there, mm", "s a volume")
HEADER += ("training, s",)
DONE = "done.json"
Find = Callable[[Sequence[torch.Tensor]], list[FoundPose]]


class ByResidual(PoseFinder):
    """A finder whose poses are in the end scored by how well the landmarks fit the mean shape."""

    def scores(
        self, placed_mm: torch.Tensor, said: PoseOutputs, which: Which = slice(None)
    ) -> torch.Tensor:
        """The root of the mean squared residual."""
        fitted = self.fitted(placed_mm, said, which)
        return (fitted.place(self.shape_mm[which]) - placed_mm).square().sum(-1).mean(-1).sqrt()


@dataclass(frozen=True, eq=False)
class Split:
    """What all variants share.

    Attributes:
        config: Settings.
        surveyed: The data.
        train: Training cases.
        test: Test cases.
        output: Folder of the variants.
    """

    config: DictConfig
    surveyed: Survey
    train: tuple[str, ...]
    test: tuple[str, ...]
    output: Path

    def record(self, factor: float = 1.0) -> PoseRecord:
        """Record of a stage whose spacings are multiplied by a factor."""
        anatomy = self.surveyed.framed.anatomy
        if anatomy is None:
            raise SystemExit("pose.kind=as_scanned: there is no pose stage; give pose=find")
        shares = [factor * one for one in self.config.pose.spacings]
        spacings_mm = tuple(float(f"{one * anatomy.extent_mm:.2g}") for one in shares)
        return PoseRecord(anatomy, spacings_mm, self.train)

    def with_pose(self, setting: str, value: str) -> "Split":
        """The same with another value of a setting of the pose stage."""
        config = copy.deepcopy(self.config)
        config.pose[setting] = value
        return replace(self, config=config)

    def cases(self, record: PoseRecord) -> tuple[PoseCases, PoseCases]:
        """Training and test cases, both with poses of the training cases' mean shape."""
        cache = Path(self.config.data.cache_dir)
        train = pose_cases(self.surveyed, record, cache)
        test = pose_cases(self.surveyed, replace(record, trained_on=self.test), cache)
        with_scale = record.anatomy.with_scale
        poses = [fit_pose(train.mean_mm, one, with_scale=with_scale) for one in test.landmarks_mm]
        return train, replace(test, mean_mm=train.mean_mm, poses=poses)


def retrained_with(config: DictConfig) -> list[tuple[str, str, str]]:
    """Names, settings and values of stages that are trained otherwise."""
    rotations = "any" if config.pose.rotations == "upright" else "upright"
    return [
        ("scored by the expected error", "score", "expected_error"),
        (f"trained and started for rotations={rotations}", "rotations", rotations),
    ]


@contextmanager
def only_near() -> Iterator[None]:
    """Training without far-off samples: no half turns, and no rotations of any size."""
    with patch.object(samples, "NEAR_SHARE", 1.0), patch.object(samples, "TURNED_SHARE", 0.0):
        yield


def trained(
    split: Split, name: str, record: PoseRecord, train: PoseCases
) -> tuple[PoseFinder, float]:
    """The finder of a variant, trained where that is not done, and the seconds it took."""
    folder = split.output / name
    if not (folder / DONE).is_file():
        began = time.perf_counter()
        folder.mkdir(parents=True, exist_ok=True)
        fit_pose_stage(split.config, record, train, folder, split.config.pose.steps)
        (folder / DONE).write_text(json.dumps(time.perf_counter() - began))
    finder = build_finder(ModelRecord.of_config(split.config), record, train.mean_mm)
    finder = load_weights(finder, folder / LAST_CHECKPOINT)
    device = training_device(split.config.trainer.accelerator)
    finder.to(device).choose_dtype(device)
    return finder, float(json.loads((folder / DONE).read_text()))


def row(
    name: str, find: Find, test: PoseCases, extent_mm: float, seconds: float
) -> tuple[str, ...]:
    """Cells of a variant: poses of the test cases."""
    judged, placed, times = [], [], []
    for index, true in enumerate(test.poses):
        began = time.perf_counter()
        found = find([level[index] for level in test.levels])[0]
        times.append(time.perf_counter() - began)
        judged.append(Judged.of(found, true, test.mean_mm, extent_mm))
        off_mm = found.pose.place(test.mean_mm) - test.landmarks_mm[index]
        placed.append(np.linalg.norm(off_mm, axis=1))
    log.info("%s: %d of %d right", name, sum(one.is_right for one in judged), len(judged))
    return (
        name,
        f"{sum(one.is_right for one in judged)} of {len(judged)}",
        median_and_most([one.degrees for one in judged], 1),
        median_and_most([one.share * extent_mm for one in judged], 3),
        number(float(np.nanmean(placed))),
        number(float(np.median(times)), 2),
        number(seconds, 0),
    )


def otherwise(finder: PoseFinder) -> dict[str, PoseFinder]:
    """The same weights, searched or scored otherwise."""
    more, residual = copy.deepcopy(finder), copy.deepcopy(finder)
    more.num_rotations = 60 if finder.num_rotations == 24 else 24
    residual.__class__ = ByResidual
    names = {24: "24 rotations of the starts", 60: "60 rotations of the starts"}
    return {names[more.num_rotations]: more, "scored by the residual of the fit": residual}


def variants(split: Split) -> Iterator[tuple[str, ...]]:
    """Rows of all variants."""
    record = split.record()
    train, test = split.cases(record)
    finder, seconds = trained(split, "as_it_is", record, train)
    extent_mm = finder.extent_mm
    yield row("as it is", finder, test, extent_mm, seconds)
    for name, other in otherwise(finder).items():
        yield row(name, other, test, extent_mm, seconds)
    for name, setting, value in retrained_with(split.config):
        other, seconds = trained(split.with_pose(setting, value), value, record, train)
        yield row(name, other, test, extent_mm, seconds)
    with only_near():
        near, seconds = trained(split, "no_far_off_samples", record, train)
    yield row("without far-off samples", near, test, extent_mm, seconds)
    for factor in (0.7, 1.4):
        scaled = split.record(factor)
        own_train, own_test = split.cases(scaled)
        found, seconds = trained(split, f"spacings_{factor:g}", scaled, own_train)
        yield row(f"spacings x {factor:g}", found, own_test, extent_mm, seconds)
    began = time.perf_counter()
    volumes = [split.surveyed.volumes[name] for name in split.train]
    search = TemplateSearch(volumes, extent_mm, record.spacings_mm[0])
    seconds = time.perf_counter() - began
    yield row("rotation search on a mean template", search, test, extent_mm, seconds)


def main(given: Sequence[str]) -> None:
    """Train and print."""
    own, settings = own_settings("ablation", given, {})
    output = own["output"]
    config = composed("train", ["preset=fast", *settings], output)
    config, surveyed, parts = survey_data(config)
    split = prepare_run(config, surveyed, parts).record.split
    shared = Split(config, surveyed, split.train, split.test, output)
    rows = []
    for cells in variants(shared):
        rows.append(cells)
        title = f"{len(split.train)} training cases, {config.pose.steps} steps"
        show(output / "ablation.md", title, HEADER, rows)

"""What is compared: methods, poses and networks, each trained on all folds."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose.given import composed
from run_data import cases_of

from pin_lightning.baselines.registry import SYSTEMS
from pin_lightning.common.settings import check_count, is_number
from pin_lightning.runs.folds import fold_folder
from pin_lightning.training.systems.parts import why_without

log = logging.getLogger(__name__)
SINGLE = "single"
METHODS = ("multi", SINGLE, "shared", *SYSTEMS)
OWN: Mapping[str, Any] = {
    "output": "outputs/related",
    "folds": 5,
    "only": None,
    "poses": ["as_scanned"],
    "landmarks": None,
    "minutes": None,
}
# A few small phantoms and steps: to see that it runs.
SMALL = [
    *("data=phantom", "data.source.num_cases=8", "data.source.size=[32,21,28]"),
    *("data.source.spacing_mm=[5,5,5]", "data.spacing_mm=5", "loader.batch_size=2"),
    *("trainer.max_steps=4", "trainer.val_check_interval=4"),
    *("pose.steps=20", "pose.calibration_folds=0"),
]
SMALL_OWN: Mapping[str, Any] = {"folds": 2, "landmarks": ["CSP"]}


@dataclass(frozen=True)
class Network:
    """What is trained on each fold: a method, or its part for one landmark.

    Attributes:
        folder: Folder of its folds.
        settings: Settings of the training, but for the fold.
        folds: Number of folds.
    """

    folder: Path
    settings: tuple[str, ...]
    folds: int

    def run_dir(self, fold: int) -> Path:
        """Run folder of a fold."""
        return fold_folder(self.folder, fold)

    def settings_of(self, fold: int) -> list[str]:
        """Settings of the training of a fold."""
        return [*self.settings, f"data.split.folds={self.folds}", f"data.split.fold={fold}"]


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: Its name there.
        networks: One, or one for each landmark.
    """

    name: str
    networks: tuple[Network, ...]


def methods_of(own: Mapping[str, Any], settings: Sequence[str]) -> list[Method]:
    """All rows.

    Args:
        own: Values of the settings of the comparison, by the names of `OWN`.
        settings: Those of the trainings; ``METHOD.SETTING=VALUE`` is of one method.

    Raises:
        ValueError: A setting is wrong, or the landmarks of ``single`` cannot be read.
    """
    _check(own)
    rows = []
    for pose in own["poses"]:
        for method in own["only"] or METHODS:
            name = method if len(own["poses"]) == 1 else f"{method}, pose={pose}"
            folder = own["output"] / f"{method}_{pose}"
            chosen = [f"model={method}", f"pose={pose}", *settings_for(method, settings)]
            if method != SINGLE:
                rows.append(Method(name, (Network(folder, tuple(chosen), own["folds"]),)))
                continue
            landmarks = own["landmarks"] or _landmarks(chosen, folder)
            each = (
                Network(folder / str(n), (*chosen, f"model.landmark={one}"), own["folds"])
                for n, one in enumerate(landmarks)
            )
            rows.append(Method(name, tuple(each)))
    return rows


def settings_for(method: str, settings: Sequence[str]) -> list[str]:
    """Settings of a method: those of all that apply to it, then its own."""
    common = [one for one in settings if one.partition(".")[0] not in METHODS]
    prefix = f"{method}."
    own = [one.removeprefix(prefix) for one in settings if one.startswith(prefix)]
    kept = []
    for one in common:
        name = one.partition("=")[0]
        if method in SYSTEMS and (reason := why_without(name, SYSTEMS[method])) is not None:
            log.info("left out for %s: %s: %s", method, name, reason)
        else:
            kept.append(one)
    return [*kept, *own]


def _landmarks(settings: Sequence[str], folder: Path) -> list[str]:
    """Names of all landmarks of the data set."""
    cases = cases_of(composed("train", [*settings, "model.landmark=unknown"], folder))
    names = (case.read().names for case in cases if case.read is not None)
    return list(dict.fromkeys(name for each in names for name in each))


def _check(own: Mapping[str, Any]) -> None:
    check_count("folds", own["folds"], least=2)
    lists = ("only", "poses", "landmarks")
    for setting in lists:
        value = own[setting]
        if value is not None and (not isinstance(value, list) or not value):
            raise ValueError(f"{setting}={value}: give a list, as {setting}=[NAME,NAME]")
    if own["poses"] is None:
        raise ValueError("poses=null: give as_scanned, find or both, as poses=[as_scanned,find]")
    for one in own["only"] or ():
        if one not in METHODS:
            raise ValueError(f"only={one}: is no method; give some of {', '.join(METHODS)}")
    minutes = own["minutes"]
    if minutes is not None and not (is_number(minutes) and minutes > 0):
        raise ValueError(f"minutes={minutes}: give a number above 0, or null for no limit")

"""How far a cross-validation has come, by the files that it writes."""

import csv
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from pin_lightning.annotation.learning.training_folder import read_object
from pin_lightning.runs.folder import CONFIG, FOLDS, LOGS, UNFINISHED
from pin_lightning.runs.folds import fold_folder, is_finished
from pin_lightning.runs.pose_stage import pose_folder

CALIBRATED = 1 / 3  # of the steps of a pose stage, in each of the trainings that calibrate it


@dataclass(frozen=True)
class Steps:
    """Steps of a training, those of its pose stages among them.

    Attributes:
        done: Steps done.
        total: All; 0 where that is not known yet.
    """

    done: int
    total: int

    def seconds_left(self, seconds: float) -> float | None:
        """Time for the rest, after so many seconds; None before anything can be said."""
        if self.done == 0 or self.total == 0:
            return None
        return seconds * (self.total - self.done) / self.done

    def left(self, seconds: float) -> str:
        """What is left after so many seconds, in words; empty before anything can be said.

        >>> Steps(2, 10).left(60), Steps(9, 10).left(60), Steps(10, 10).left(60)
        ('about 4 min left', 'less than a minute left', 'comparing with the annotations')
        """
        left = self.seconds_left(seconds)
        if left is None:
            return ""
        if self.done >= self.total:
            return "comparing with the annotations"
        return "less than a minute left" if left < 60 else f"about {round(left / 60)} min left"


def steps_of(run_dir: Path) -> Steps:
    """Steps of all folds of a cross-validation that is at work."""
    count = read_object(run_dir / FOLDS).get("folds")
    settings = _settings(fold_folder(run_dir, 0) / CONFIG)
    if not isinstance(count, int) or settings is None:
        return Steps(0, 0)
    pose, landmarks = settings
    done = sum(_done(fold_folder(run_dir, fold), pose, landmarks) for fold in range(count))
    return Steps(done, count * (pose + landmarks))


def _settings(path: Path) -> tuple[int, int] | None:
    """Steps of the pose stage of a fold, with its calibration, and of the landmarks."""
    try:
        config = OmegaConf.load(path)
        steps = 0
        if config.pose.kind == "find" and config.pose.run is None:
            steps = round(config.pose.steps * (1 + CALIBRATED * config.pose.calibration_folds))
        return steps, int(config.trainer.max_steps)
    except Exception:  # not there yet, or of a form that is not known here
        return None


def _done(fold: Path, pose_steps: int, landmark_steps: int) -> int:
    if is_finished(fold):
        return pose_steps + landmark_steps
    own = _logged(fold)
    stage = pose_folder(fold)
    if own or (pose_steps and stage.is_dir() and not (stage / UNFINISHED).exists()):
        return pose_steps + min(own, landmark_steps)
    others = sum(_logged(one) for one in stage.glob("without_*"))
    return min(_logged(stage) + others, pose_steps)


def _logged(folder: Path) -> int:
    """The last step of a log."""
    last, path = 0, folder / LOGS / "metrics.csv"
    with suppress(OSError, ValueError, KeyError, csv.Error), path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            last = max(last, int(row["step"]) + 1)
    return last

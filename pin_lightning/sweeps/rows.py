"""Jobs of a sweep as rows of a table: errors of the same method put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from omegaconf import OmegaConf

from pin_lightning.evaluation import Evaluation
from pin_lightning.prediction_files import read_predictions
from pin_lightning.run_folder import CONFIG, PREDICTIONS


@dataclass(frozen=True, eq=False)
class Job:
    """A finished job of a sweep.

    Attributes:
        folder: Its run folder.
        method: Name that the job was given, none without one.
        overrides: What its command line asked for.
        evaluation: Its test cases, or its validation cases where none test.
    """

    folder: Path
    method: str | None
    overrides: tuple[str, ...]
    evaluation: Evaluation


@dataclass(frozen=True, eq=False)
class Row:
    """All jobs of one method.

    Attributes:
        method: Its name.
        cases: Cases that any of the jobs predicted.
        names: Landmarks that any of them predicts.
        errors_mm: Radial errors, the mean over the jobs that predict the same; NaN where none does.
        seconds: To localise all landmarks in one volume, files read; NaN where unknown.
    """

    method: str
    cases: tuple[str, ...]
    names: tuple[str, ...]
    errors_mm: Float64[np.ndarray, "N L"]
    seconds: float


def read_jobs(sweep_dir: Path) -> tuple[list[Job], list[Path]]:
    """Finished jobs of a sweep in the order of their numbers, and folders of those that are not.

    What an earlier sweep left in the folder does not count.

    Args:
        sweep_dir: Folder with a run folder for each job.

    Raises:
        ValueError: There is no finished job, or a file of one is damaged.
    """
    if not sweep_dir.is_dir():
        raise ValueError(f"sweep={sweep_dir}: there is no such folder; give that of a sweep")
    folders = [path for path in sweep_dir.iterdir() if path.is_dir() and path.name.isdigit()]
    began = _began(sweep_dir)
    jobs, unfinished = [], []
    for folder in sorted(folders, key=lambda path: int(path.name)):
        if _written(folder / CONFIG, folder) < began:
            continue  # of an earlier sweep in this folder
        if (folder / CONFIG).is_file() and (folder / PREDICTIONS).is_file():
            jobs.append(_read_job(folder))
        else:
            unfinished.append(folder)
    if not jobs:
        raise ValueError(f"sweep={sweep_dir}: no job has finished; give the folder of a sweep")
    return jobs, unfinished


def _began(sweep_dir: Path) -> float:
    """When a sweep began: its sweeper writes this file before the jobs."""
    record = sweep_dir / "multirun.yaml"
    return record.stat().st_mtime if record.is_file() else 0.0


def _written(*paths: Path) -> float:
    """When the first of the paths that is there was written."""
    return next(path.stat().st_mtime for path in paths if path.exists())


def _read_job(folder: Path) -> Job:
    config: Any = OmegaConf.load(folder / CONFIG)
    splits = read_predictions(folder / PREDICTIONS)
    if not splits:
        raise ValueError(f"{folder / PREDICTIONS}: holds no case; let some test")
    evaluation = splits.get("test", next(iter(splits.values())))
    overrides = tuple(config.get("overrides") or ())
    return Job(folder, config.get("method"), overrides, evaluation)


def rows_of(jobs: Sequence[Job]) -> list[Row]:
    """Jobs of the same method as one row, in the order in which methods first come.

    They may hold other landmarks of the same cases, as networks for one landmark do, other cases,
    as folds do, or the same with another seed: then errors are averaged.
    """
    groups: dict[str, list[Job]] = {}
    for label, job in zip(labels_of(jobs), jobs, strict=True):
        groups.setdefault(label, []).append(job)
    return [_row(label, group) for label, group in groups.items()]


def labels_of(jobs: Sequence[Job]) -> list[str]:
    """Name of the row of each job: its method, else those overrides that not all jobs have."""
    shared = set.intersection(*(set(job.overrides) for job in jobs))
    own = [", ".join(one for one in job.overrides if one not in shared) for job in jobs]
    return [job.method or label or job.folder.name for job, label in zip(jobs, own, strict=True)]


def _row(method: str, jobs: Sequence[Job]) -> Row:
    errors: dict[tuple[str, str], list[float]] = {}
    for job in jobs:
        one = job.evaluation
        for (case, landmark), error in np.ndenumerate(one.errors_mm):
            errors.setdefault((one.cases[case], one.names[landmark]), []).append(error)
    cases = tuple(dict.fromkeys(case for case, _ in errors))
    names = tuple(dict.fromkeys(name for _, name in errors))
    matrix = [[np.mean(errors.get((case, name), [np.nan])) for name in names] for case in cases]
    return Row(method, cases, names, np.array(matrix), _seconds(jobs, names))


def _seconds(jobs: Sequence[Job], names: Sequence[str]) -> float:
    """Seconds to localise all landmarks in a volume: jobs that predict other ones add up."""
    each = [float(np.median(job.evaluation.localise_seconds)) for job in jobs]
    predictions = sum(len(job.evaluation.names) for job in jobs)
    return sum(each) * len(names) / predictions


def paired(
    row: Row, reference: Row, names: Sequence[str] | None = None
) -> Float64[np.ndarray, "N L"]:
    """Errors of a row less those of a reference, for cases and landmarks that both have.

    Args:
        row: The one.
        reference: The other.
        names: Landmarks to look at; none takes all that both have.

    Returns:
        Differences in mm, NaN where one of them has none.
    """
    cases = [case for case in row.cases if case in reference.cases]
    both = [name for name in row.names if name in reference.names and name in (names or row.names)]
    own, other = (_part(one, cases, both) for one in (row, reference))
    return own - other


def _part(row: Row, cases: Sequence[str], names: Sequence[str]) -> Float64[np.ndarray, "N L"]:
    lines, columns = _places(row.cases, cases), _places(row.names, names)
    return row.errors_mm[np.ix_(lines, columns)]


def _places(labels: Sequence[str], wanted: Sequence[str]) -> list[int]:
    places: Mapping[str, int] = {label: place for place, label in enumerate(labels)}
    return [places[label] for label in wanted]

"""Rows of the table of a sweep: jobs of the same method joined."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from omegaconf import OmegaConf

from pin_lightning.cli.failures import Failure, read_failure
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.runs.folder import CONFIG, PREDICTIONS
from pin_lightning.studies.sweeps.closing import began, job_folders

SEED = "seed="


@dataclass(frozen=True, eq=False)
class Job:
    """A finished job of a sweep.

    Attributes:
        folder: Its run folder.
        method: Name given to the job, or None.
        overrides: Overrides of its command line.
        evaluation: Its test cases, or its validation cases if it has none.
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
        errors_mm: Radial errors, mean over the jobs that predict the same; NaN where none does.
        seconds: Time to localise all landmarks in a volume that is read; NaN where unknown.
        job_means_mm: Mean error of each job if all predict the same, for example several seeds.
    """

    method: str
    cases: tuple[str, ...]
    names: tuple[str, ...]
    errors_mm: Float64[np.ndarray, "N L"]
    seconds: float
    job_means_mm: tuple[float, ...] = ()


def read_jobs(sweep_dir: Path) -> tuple[list[Job], list[Failure]]:
    """Read the finished jobs of a sweep, by number, and the failures of the others.

    Raises:
        ValueError: There is no such folder, or a file of a job is damaged.
    """
    jobs, failures = [], []
    for folder in job_folders(sweep_dir):
        if (failure := read_failure(folder)) is not None:
            failures.append(failure)
        elif _is_finished(folder, sweep_dir):
            jobs.append(_read_job(folder))
        else:
            failures.append(Failure(int(folder.name), (), f"is not finished; look at {folder}"))
    return jobs, failures


def _is_finished(folder: Path, sweep_dir: Path) -> bool:
    """True if a job of this sweep, not of an earlier one in the folder, has left its results."""
    files = (folder / CONFIG, folder / PREDICTIONS)
    return all(file.is_file() and file.stat().st_mtime >= began(sweep_dir) for file in files)


def _read_job(folder: Path) -> Job:
    config: Any = OmegaConf.load(folder / CONFIG)
    splits = read_predictions(folder / PREDICTIONS)
    if not splits:
        raise ValueError(f"{folder / PREDICTIONS}: holds no case; let some test")
    evaluation = splits.get("test", next(iter(splits.values())))
    overrides = tuple(config.get("overrides") or ())
    return Job(folder, config.get("method"), overrides, evaluation)


def rows_of(jobs: Sequence[Job], failures: Sequence[Failure] = ()) -> list[Row]:
    """Join jobs of the same method in a row, in the order of their first jobs.

    Jobs of a row may hold other landmarks (networks for one landmark), other cases (folds) or the
    same with another seed; then errors are averaged. `failures` count in `labels_of`.
    """
    groups: dict[str, list[Job]] = {}
    for label, job in zip(labels_of(jobs, failures), jobs, strict=True):
        groups.setdefault(label, []).append(job)
    return [_row(label, group) for label, group in groups.items()]


def labels_of(jobs: Sequence[Job], failures: Sequence[Failure] = ()) -> list[str]:
    """Name of the row of each job: its method, else the overrides that not all jobs share.

    Jobs that differ only in their seed share a row, unless no jobs differ in anything else.
    """
    known = [set(job.overrides) for job in jobs]
    known += [set(failure.overrides) for failure in failures if failure.overrides]
    shared = set.intersection(*known)
    own = [[one for one in job.overrides if one not in shared] for job in jobs]
    names = [", ".join(one for one in each if not one.startswith(SEED)) for each in own]
    if not any(names):
        names = [", ".join(each) for each in own]
    return [job.method or name or job.folder.name for job, name in zip(jobs, names, strict=True)]


def _row(method: str, jobs: Sequence[Job]) -> Row:
    errors: dict[tuple[str, str], list[float]] = {}
    for job in jobs:
        one = job.evaluation
        for (case, landmark), error in np.ndenumerate(one.errors_mm):
            errors.setdefault((one.cases[case], one.names[landmark]), []).append(error)
    cases = tuple(dict.fromkeys(case for case, _ in errors))
    names = tuple(dict.fromkeys(name for _, name in errors))
    matrix = [[np.mean(errors.get((case, name), [np.nan])) for name in names] for case in cases]
    predicted = {(job.evaluation.cases, job.evaluation.names) for job in jobs}
    means = [float(np.nanmean(job.evaluation.errors_mm)) for job in jobs]
    same = tuple(means) if len(predicted) == 1 else ()
    return Row(method, cases, names, np.array(matrix), _seconds(jobs, names), same)


def _seconds(jobs: Sequence[Job], names: Sequence[str]) -> float:
    """Seconds to localise all landmarks in a volume, summed over jobs for other landmarks."""
    each = [float(np.median(job.evaluation.localise_seconds)) for job in jobs]
    predictions = sum(len(job.evaluation.names) for job in jobs)
    return sum(each) * len(names) / predictions


def paired(
    row: Row, reference: Row, names: Sequence[str] | None = None
) -> Float64[np.ndarray, "N L"]:
    """Errors of a row minus those of a reference, on cases and landmarks (`names`) of both.

    Returns:
        Differences in mm, NaN where an error is undefined.
    """
    cases = [case for case in row.cases if case in reference.cases]
    both = [name for name in row.names if name in reference.names and name in (names or row.names)]
    own, other = (_part(one, cases, both) for one in (row, reference))
    return own - other


def _part(row: Row, cases: Sequence[str], names: Sequence[str]) -> Float64[np.ndarray, "N L"]:
    rows = [row.cases.index(case) for case in cases]
    return row.errors_mm[np.ix_(rows, [row.names.index(name) for name in names])]

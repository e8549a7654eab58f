"""Jobs of a sweep as rows of a table: errors of the same method put together."""

from collections.abc import Mapping, Sequence
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
        job_means_mm: Mean error of each job, where all predict the same, as those of several seeds.
    """

    method: str
    cases: tuple[str, ...]
    names: tuple[str, ...]
    errors_mm: Float64[np.ndarray, "N L"]
    seconds: float
    job_means_mm: tuple[float, ...] = ()


def read_jobs(sweep_dir: Path) -> tuple[list[Job], list[Failure]]:
    """Finished jobs of a sweep in the order of their numbers, and those that are not finished.

    Args:
        sweep_dir: Folder with a run folder for each job.

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
    """Whether a job has left its results, and no job of an earlier sweep in the same folder."""
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
    """Jobs of the same method as one row, in the order in which methods first come.

    They may hold other landmarks of the same cases, as networks for one landmark do, other cases,
    as folds do, or the same with another seed: then errors are averaged.

    Args:
        jobs: Finished jobs.
        failures: Other jobs of the sweep: what jobs share, they share with these, too.
    """
    groups: dict[str, list[Job]] = {}
    for label, job in zip(labels_of(jobs, failures), jobs, strict=True):
        groups.setdefault(label, []).append(job)
    return [_row(label, group) for label, group in groups.items()]


def labels_of(jobs: Sequence[Job], failures: Sequence[Failure] = ()) -> list[str]:
    """Name of the row of each job: its method, else those overrides that not all jobs have.

    Jobs that differ in nothing but their seed share a row, unless no jobs differ in anything else.
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

"""Errors of two runs on the same cases and landmarks, read from their folders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.metrics import radial_errors
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.runs.folder import PREDICTIONS, RECORD, read_record
from pin_lightning.runs.folds import is_folds_folder, read_folds

SAME_MM = 1e-3  # true positions this close count as one, rounded by two programs
MAX_NAMED = 5


@dataclass(frozen=True, eq=False)
class PairedErrors:
    """Radial errors of two runs, A and B, on the same cases and landmarks.

    Attributes:
        cases: Case names.
        names: Landmark names.
        a_mm: Errors of run A in mm, NaN where either run knows no true position.
        b_mm: Errors of run B, NaN where those of A are.
        notes: Sentences on what was left out, and on what makes the comparison unfair.
    """

    cases: tuple[str, ...]
    names: tuple[str, ...]
    a_mm: Float64[np.ndarray, "N L"]
    b_mm: Float64[np.ndarray, "N L"]
    notes: tuple[str, ...]


def pair_runs(path_a: Path, path_b: Path, split: str = "test") -> PairedErrors:
    """Read two runs, and pair the cases and landmarks that both have.

    Args:
        path_a: Folder of a run or of a cross-validation, or a ``predictions.csv``.
        path_b: Another.
        split: Cases to compare: ``test`` or ``val``.

    Raises:
        ValueError: A run has no such cases, they have none in common, or the same landmark of
            the same case has two true positions.
    """
    evaluations = [_read(path, split) for path in (path_a, path_b)]
    try:
        paired = pair_evaluations(*evaluations)
    except ValueError as error:
        raise ValueError(f"A={path_a}, B={path_b}: {error}") from error
    notes = list(paired.notes)
    others = (("A", "B", path_b), ("B", "A", path_a))
    for evaluation, (own, other, path) in zip(evaluations, others, strict=True):
        if seen := sorted({*evaluation.cases} & _trained_on(path)):
            notes.append(
                f"Warning: {other} was trained on {_count(f'{split} case', seen)} of {own} "
                f"({_list(seen)}); split both runs in the same way."
            )
    return replace(paired, notes=tuple(notes))


def pair_evaluations(a: Evaluation, b: Evaluation) -> PairedErrors:
    """Pair the errors on cases and landmarks that both have, in the order of the first.

    Raises:
        ValueError: They have none in common, or the same landmark of the same case has two true
            positions.
    """
    cases = tuple(case for case in a.cases if case in b.cases)
    names = tuple(name for name in a.names if name in b.names)
    if not cases or not names:
        what = "landmark" if cases else "case"
        raise ValueError(f"have no {what} in common; compare runs on the same data")
    chosen_a, chosen_b = _chosen(a, cases, names), _chosen(b, cases, names)
    defined = a.defined[chosen_a] & b.defined[chosen_b]
    offsets_mm = a.truth_world[chosen_a] - b.truth_world[chosen_b]
    apart_mm = np.where(defined, np.linalg.norm(offsets_mm, axis=-1), 0)
    if (apart_mm > SAME_MM).any():
        case, landmark = np.argwhere(apart_mm > SAME_MM)[0]
        raise ValueError(
            f"the true positions of {names[landmark]} of {cases[case]} lie "
            f"{apart_mm[case, landmark]:.3f} mm apart; compare runs on the same annotation"
        )
    if not defined.any():
        raise ValueError("have no true position in common; compare runs on annotated cases")
    a_mm, b_mm = (
        radial_errors(one.predicted_world[chosen], one.truth_world[chosen], defined)
        for one, chosen in ((a, chosen_a), (b, chosen_b))
    )
    return PairedErrors(cases, names, a_mm, b_mm, _left_out(a, b))


def _read(path: Path, split: str) -> Evaluation:
    file = path / PREDICTIONS if path.is_dir() else path
    if not file.is_file():
        raise ValueError(
            f"{path}: has no {PREDICTIONS}; give the folder of a finished run, or such a file"
        )
    splits = read_predictions(file)
    if split not in splits:
        raise ValueError(f"{file}: has no split {split}; give one of {', '.join(splits) or 'none'}")
    return splits[split]


def _chosen(
    evaluation: Evaluation, cases: Sequence[str], names: Sequence[str]
) -> tuple[np.ndarray, ...]:
    rows = [evaluation.cases.index(case) for case in cases]
    return np.ix_(rows, [evaluation.names.index(name) for name in names])


def _left_out(a: Evaluation, b: Evaluation) -> tuple[str, ...]:
    notes = []
    for what, of_a, of_b in (("case", a.cases, b.cases), ("landmark", a.names, b.names)):
        for run, own, other in (("A", of_a, of_b), ("B", of_b, of_a)):
            if only := [name for name in own if name not in other]:
                notes.append(f"Left out: {_count(what, only)} only in {run} ({_list(only)}).")
    return tuple(notes)


def _trained_on(path: Path) -> set[str]:
    """Cases that a run was trained on and never tested on; empty without a record."""
    folder = path if path.is_dir() else path.parent
    if is_folds_folder(folder):
        splits = [read_record(fold).split for fold in read_folds(folder)]
    elif (folder / RECORD).is_file():
        splits = [read_record(folder).split]
    else:
        return set()
    trained = {name for split in splits for name in split.train}
    return trained - {name for split in splits for name in split.test}


def _count(what: str, names: Sequence[str]) -> str:
    return f"{len(names)} {what}{'s' if len(names) > 1 else ''}"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_NAMED])
    return shown if len(names) <= MAX_NAMED else f"{shown}, ..."

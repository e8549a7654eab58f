"""Splits into training, validation and test cases; cases of a subject stay together."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pin_lightning.common.settings import check_count, is_number
from pin_lightning.data.split_lists import NameList, read_lists, setting_text

Group = list[str]  # cases of one subject

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """Names of the cases of each part, sorted.

    Attributes:
        train: Training cases.
        val: Validation cases, by which the checkpoint is chosen.
        test: Test cases.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


# Settings come from a YAML file or a command line and are checked here: hence `Any`.
def split_cases(
    subjects: Mapping[str, str],
    seed: Any,
    val_fraction: Any,
    test_fraction: Any,
    train_names: Any = None,
    val_names: Any = None,
    test_names: Any = None,
    folds: Any = None,
    fold: Any = None,
    skipped: Collection[str] = (),
) -> Split:
    """Split cases at random, by fixed lists, or for cross-validation.

    The result depends on the seed and not on the order of the cases. Fractions and folds count
    subjects. With `train_names`, cases in no list are in no part.

    Where there are few cases, training comes first: a fraction of less than one subject takes none
    if fewer than two cases would be left to train; validation is given up before the test.

    Args:
        subjects: Subject of every case, by the case's name.
        seed: Seed of the shuffle.
        val_fraction: Fraction of the subjects for validation, at least one unless 0; of the
            subjects in `train_names` if given, else of all.
        test_fraction: Fraction of the subjects for testing, at least one unless 0; has no effect
            with `train_names`, `test_names` or `folds`.
        train_names: Names of training cases, or a text file with one name per line.
        val_names: Likewise, instead of `val_fraction`.
        test_names: Likewise, instead of `test_fraction`.
        folds: Number of folds, of about equal size.
        fold: Index of the test fold, from 0.
        skipped: Names of skipped cases, which the lists may hold as well.

    Returns:
        The three parts, each sorted; no case is in two.

    Raises:
        ValueError: A setting is out of range, settings exclude each other, a name is unknown or
            given twice, a subject would be in two parts, or no case trains.

    >>> subjects = {"a": "a", "b": "b", "c1": "c", "c2": "c"}
    >>> split_cases(subjects, 0, 0.25, 0, val_names=["c1", "c2"])
    Split(train=('a', 'b'), val=('c1', 'c2'), test=())
    >>> split_cases({"a": "a"}, 0, 0.1, 0.25)
    Split(train=('a',), val=(), test=())
    """
    check_count("data.split.seed", seed, 0)
    names = {"train_names": train_names, "val_names": val_names, "test_names": test_names}
    if folds is not None or fold is not None:
        settings = {"folds": folds, "fold": fold, "val_fraction": val_fraction}
        split = _split_by_fold(subjects, seed, names, **settings)
    else:
        settings = {"val_fraction": val_fraction, "test_fraction": test_fraction}
        split = _split_by_lists(subjects, seed, names, skipped, **settings)
    _check_training_cases(split, subjects, {**names, **settings})
    return split


def _split_by_lists(
    subjects: Mapping[str, str],
    seed: int,
    names: Mapping[str, Any],
    skipped: Collection[str],
    val_fraction: Any,
    test_fraction: Any,
) -> Split:
    """Parts without a list are drawn by fractions: test first, then val; the rest trains."""
    lists = read_lists(names, subjects, skipped)
    if "train_names" in lists:
        free = _shuffled_groups(lists["train_names"].names, subjects, seed)
        number, fractions = len(free), {"val": val_fraction}
    else:
        groups = _shuffled_groups(subjects, subjects, seed)
        number, fractions = len(groups), {"val": val_fraction, "test": test_fraction}
        listed = {name for given in lists.values() for name in given.names}
        free = [group for group in groups if listed.isdisjoint(group)]
    sizes = _part_sizes(free, number, fractions, lists)
    test, free = _take(free, sizes.get("test", 0), lists.get("test_names"))
    val, free = _take(free, sizes["val"], lists.get("val_names"))
    return _split(free, val, test)


def _split_by_fold(
    subjects: Mapping[str, str],
    seed: int,
    names: Mapping[str, Any],
    folds: Any,
    fold: Any,
    val_fraction: Any,
) -> Split:
    """Test on one fold, validate on the subjects after it in the shuffled order."""
    groups = _shuffled_groups(subjects, subjects, seed)
    _check_folds(folds, fold, len(groups), names)
    start, end = (len(groups) * number // folds for number in (fold, fold + 1))
    free = groups[end:] + groups[:start]
    sizes = _part_sizes(free, len(groups), {"val": val_fraction}, {})
    val, free = _take(free, sizes["val"], None)
    return _split(free, val, _joined(groups[start:end]))


def _shuffled_groups(names: Collection[str], subjects: Mapping[str, str], seed: int) -> list[Group]:
    """Cases of each subject, with the subjects in random order."""
    groups: dict[str, Group] = {}
    for name in sorted(names):
        groups.setdefault(subjects[name], []).append(name)
    # Sorted by their first case, so that names of subjects have no influence.
    ordered = list(groups.values())
    return [ordered[index] for index in np.random.default_rng(seed).permutation(len(ordered))]


def _take(
    free: list[Group], count: int, listed: NameList | None
) -> tuple[Sequence[str], list[Group]]:
    """A part (the listed names, else the first `count` free subjects) and the remaining groups."""
    if listed is not None:
        return listed.names, free
    return _joined(free[:count]), free[count:]


def _joined(groups: Iterable[Group]) -> list[str]:
    return [name for group in groups for name in group]


def _split(train: Iterable[Group], val: Iterable[str], test: Iterable[str]) -> Split:
    return Split(tuple(sorted(_joined(train))), tuple(sorted(val)), tuple(sorted(test)))


def _part_sizes(
    free: Sequence[Group],
    number: int,
    fractions: Mapping[str, Any],
    lists: Mapping[str, NameList],
) -> dict[str, int]:
    """Subjects of each part without a list, by its fraction of a number of subjects.

    A part of less than one subject has none if fewer than two cases would train, the first first.
    """
    sizes = {part: _part_size(f"{part}_fraction", fractions[part], number) for part in fractions}
    sizes = {part: 0 if f"{part}_names" in lists else size for part, size in sizes.items()}
    for part, size in sizes.items():
        left = len(_joined(free[sum(sizes.values()) :]))
        if size > 0 and left < 2 and fractions[part] * number < 1:
            said = setting_text(f"{part}_fraction", fractions[part])
            log.warning("%s: too few subjects for it (%d), these train", said, number)
            sizes[part] = 0
    return sizes


def _part_size(setting: str, fraction: Any, count: int) -> int:
    if not is_number(fraction) or not 0 <= fraction < 1:
        raise ValueError(f"{setting_text(setting, fraction)}: give a number from 0 to below 1")
    return max(1, int(count * fraction + 0.5)) if fraction > 0 else 0


def _check_folds(folds: Any, fold: Any, count: int, names: Mapping[str, Any]) -> None:
    if folds is None:
        raise ValueError(f"data.split.fold={fold}: needs the number of folds, data.split.folds=5")
    check_count("data.split.folds", folds, 2)
    if count == 1:
        raise ValueError(
            f"data.split.folds={folds}: there is 1 subject, folds need at least 2; train without "
            f"them, with pin-lightning train"
        )
    if folds > count:
        raise ValueError(f"data.split.folds={folds}: there are {count} subjects; give at most that")
    if fold is None:
        raise ValueError(f"data.split.folds={folds}: give the test fold, data.split.fold=0")
    check_count("data.split.fold", fold, 0)
    if fold >= folds:
        raise ValueError(f"data.split.fold={fold}: give 0 to {folds - 1}, there are {folds} folds")
    for setting, given in names.items():
        if given is not None:
            said = f"{setting_text(setting, given)}: cannot be combined with data.split.folds="
            raise ValueError(f"{said}{folds}, which tests every case once; set one to null")


def _check_training_cases(
    split: Split, subjects: Mapping[str, str], settings: Mapping[str, Any]
) -> None:
    if split.train:
        return
    given = ", ".join(setting_text(*one) for one in settings.items() if one[1] is not None)
    raise ValueError(
        f"{given}: 0 of {len(subjects)} cases ({len(set(subjects.values()))} subjects) left to "
        f"train (val {len(split.val)}, test {len(split.test)}); leave at least 1"
    )

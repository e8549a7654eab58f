"""Cases: pair images with landmarks, check them, and split them into train, val and test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pin_lightning.landmark_files import READERS, read_landmarks

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
MARKUPS_SUFFIXES = tuple(READERS)


@dataclass(frozen=True)
class Case:
    """One volume and, where known, its landmarks.

    Attributes:
        name: The file name without its suffix.
        image: Image file.
        landmarks: Landmark file, none when the case is only to be predicted.
    """

    name: str
    image: Path
    landmarks: Path | None


@dataclass(frozen=True)
class Split:
    """Names of the cases of each part, sorted.

    Attributes:
        train: Cases that train.
        val: Cases that choose the checkpoint.
        test: Cases that are only measured on.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


def find_cases(
    root: str | Path, images: str = "images", landmarks: str = "landmarks"
) -> list[Case]:
    """Cases of a folder: every image of ``root/images`` with ``root/landmarks/NAME.mrk.json``.

    Args:
        root: Folder of the data set.
        images: Its sub-folder of images (.nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd).
        landmarks: Its sub-folder of landmark files.

    Returns:
        Cases sorted by name.

    Raises:
        ValueError: A folder is absent or empty, or an image and a landmark file lack each other.
    """
    folder = Path(root)
    by_name = _files_by_name(folder / images, IMAGE_SUFFIXES, "images")
    marked = _files_by_name(folder / landmarks, MARKUPS_SUFFIXES, "landmark files")
    alone = sorted(by_name.keys() - marked.keys())
    if alone:
        raise ValueError(
            f"{folder / landmarks}: no landmark file for {', '.join(alone)}; "
            f"add NAME{MARKUPS_SUFFIXES[0]} or remove the image"
        )
    orphans = sorted(marked.keys() - by_name.keys())
    if orphans:
        raise ValueError(
            f"{folder / images}: no image for the landmarks of {', '.join(orphans)}; "
            f"add the image or remove the landmark file"
        )
    return [Case(name, by_name[name], marked[name]) for name in sorted(by_name)]


def landmark_names(cases: Sequence[Case]) -> tuple[str, ...]:
    """Names of the landmarks that all cases have, in the order of the first case's file.

    Args:
        cases: Cases with landmark files.

    Raises:
        ValueError: There is no case, or a case lacks a landmark that another case has.
    """
    if not cases:
        raise ValueError("data.root: has no cases; landmark names come from their landmark files")
    first, *others = cases
    names = _defined_names(first)
    for case in others:
        _check_same_names(first, names, case, _defined_names(case))
    return names


def split_cases(
    names: Sequence[str],
    val_fraction: float | int,
    test_fraction: float | int,
    seed: int,
    test_names: Sequence[str] | None = None,
    val_names: Sequence[str] | None = None,
) -> Split:
    """Split cases at random, the same way for the same seed whatever the order of the names.

    Args:
        names: All case names.
        val_fraction: Part of all cases that validate; at least one case unless 0.
        test_fraction: Part of all cases that test; at least one case unless 0.
        seed: Seed of the shuffle.
        test_names: Test cases, instead of `test_fraction`.
        val_names: Validation cases, instead of `val_fraction`.

    Returns:
        The three parts, each sorted; every case is in exactly one.

    Raises:
        ValueError: A fraction is not in 0 to 1, a name is unknown or in two parts, or fewer than
            two cases are left to train.

    >>> split_cases(["a", "b", "c", "d"], 0.25, 0, seed=0, val_names=["d"]).train
    ('a', 'b', 'c')
    """
    ordered = sorted(names)
    _check_names("case names", ordered, ordered)
    val_count = _part_size("val_fraction", val_fraction, len(ordered))
    test_count = _part_size("test_fraction", test_fraction, len(ordered))
    chosen = {*_check_names("val_names", val_names, ordered)}
    in_both = sorted(chosen.intersection(_check_names("test_names", test_names, ordered)))
    if in_both:
        raise ValueError(f"data.split: {', '.join(in_both)} in both val_names and test_names")
    chosen.update(test_names or ())
    free = [str(name) for name in np.random.default_rng(seed).permutation(ordered)]
    free = [name for name in free if name not in chosen]
    test, free = _take(free, test_count, test_names)
    val, train = _take(free, val_count, val_names)
    if len(train) < 2:
        raise ValueError(
            f"data.split: {len(train)} of {len(ordered)} cases left to train (val {len(val)}, "
            f"test {len(test)}); leave at least 2"
        )
    return Split(_sorted(train), _sorted(val), _sorted(test))


def stem(path: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> str | None:
    """File name without its suffix, none when the suffix is not one of these.

    >>> stem(Path("scans/ANNA.nii.gz"))
    'ANNA'
    """
    lowered = path.name.lower()
    return next((path.name[: -len(end)] for end in suffixes if lowered.endswith(end)), None)


def _files_by_name(folder: Path, suffixes: Sequence[str], what: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise ValueError(f"data.root: there is no folder {folder}; it should hold the {what}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = stem(path, suffixes)
        # Hidden files: copies that macOS leaves behind.
        if name is None or path.name.startswith(".") or not path.is_file():
            continue
        if name in found:
            raise ValueError(f"{folder}: both {found[name].name} and {path.name}; keep one")
        found[name] = path
    if not found:
        raise ValueError(f"data.root: no {what} in {folder} (read: {', '.join(suffixes)})")
    return found


def _defined_names(case: Case) -> tuple[str, ...]:
    if case.landmarks is None:
        raise ValueError(f"{case.image}: case {case.name} has no landmark file; add one")
    landmarks = read_landmarks(case.landmarks)
    return tuple(
        name
        for name, is_defined in zip(landmarks.names, landmarks.defined, strict=True)
        if is_defined
    )


def _check_same_names(
    first: Case, names: Sequence[str], case: Case, other_names: Sequence[str]
) -> None:
    missing = [name for name in names if name not in set(other_names)]
    extra = [name for name in other_names if name not in set(names)]
    if missing or extra:
        lacking = f"{case.landmarks}: case {case.name} lacks {', '.join(missing)}"
        lacking_first = f"{first.landmarks}: case {first.name} lacks {', '.join(extra)}"
        said = "; ".join([lacking] * bool(missing) + [lacking_first] * bool(extra))
        raise ValueError(f"{said}; every case needs the same landmarks, all defined")


def _check_names(setting: str, names: Sequence[str] | None, known: Sequence[str]) -> Sequence[str]:
    listed = names or ()
    unknown = sorted(set(listed) - set(known))
    if unknown:
        raise ValueError(f"data.split.{setting}: no case named {', '.join(unknown)}")
    twice = sorted({name for name in listed if list(listed).count(name) > 1})
    if twice:
        raise ValueError(f"data.split.{setting}: {', '.join(twice)} given twice")
    return listed


def _part_size(setting: str, fraction: float | int, count: int) -> int:
    if not 0 <= fraction < 1:
        raise ValueError(f"data.split.{setting}={fraction}: give a number from 0 to below 1")
    return max(1, int(count * fraction + 0.5)) if fraction > 0 else 0


def _take(
    free: list[str], count: int, explicit: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """A part and what is left: the explicit names, else the first `count` free ones."""
    return (list(explicit), free) if explicit is not None else (free[:count], free[count:])


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))

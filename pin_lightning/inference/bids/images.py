"""The anatomical images of a BIDS data set, by participant, session and suffix."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pin_lightning.common.hidden import is_hidden
from pin_lightning.data.images.reading import stem
from pin_lightning.data.sources.bids import anatomical_scans, entities_of
from pin_lightning.inference.beginning import some
from pin_lightning.inference.part import Participant

MOST_LABELS = 10  # named in a message
_OF_DERIVATIVES = ("space", "desc")


@dataclass(frozen=True)
class BidsImage:
    """An image of a BIDS data set.

    Attributes:
        path: The file.
        key: Its path below the data set, with forward slashes.
        suffix: Such as ``T1w``.
        entities: Values of the entities in its name, in their order.
    """

    path: Path
    key: str
    suffix: str
    entities: Mapping[str, str]

    @classmethod
    def of(cls, path: Path, root: Path, suffix: str) -> "BidsImage":
        """Take the name of an image apart.

        Raises:
            ValueError: The name is not that of a raw image in that folder.
        """
        name, below = str(stem(path)), path.relative_to(root)
        entities = entities_of(f"{name}.")
        spelt = "_".join([*(f"{key}-{value}" for key, value in entities.items()), suffix])
        folders = entities_of(f"{'_'.join(below.parts[:-2])}.")
        named = {key: value for key, value in entities.items() if key in ("sub", "ses")}
        if spelt != name or named != folders:
            raise ValueError(
                f"{path}: is not named sub-LABEL[_ses-LABEL][_KEY-VALUE...]_{suffix} after its "
                f"folders; rename it"
            )
        if own := [key for key in _OF_DERIVATIVES if key in entities]:
            raise ValueError(
                f"{path}: has the entity {own[0]}, as only derivatives have; give the raw data set"
            )
        return cls(path, below.as_posix(), suffix, entities)

    @property
    def name(self) -> str:
        """File name without its ending."""
        return str(stem(self.path))

    @property
    def participant(self) -> Participant:
        """Whose image it is."""
        return Participant(self.entities["sub"])


@dataclass(frozen=True)
class Wanted:
    """Which images are wanted; None or nothing wants all.

    Attributes:
        participants: Labels, with or without ``sub-``.
        sessions: Labels, with or without ``ses-``.
        suffixes: Suffixes of the images.
    """

    participants: Sequence[str] | None
    sessions: Sequence[str] | None
    suffixes: Sequence[str]


def participants_of(root: Path) -> list[str]:
    """Labels of all participants of a data set, in order.

    Raises:
        ValueError: There are none, or the folder is none.
    """
    if not root.is_dir():
        raise ValueError(f"BIDS_DIR={root}: is no folder; give that of a BIDS data set")
    labels = sorted(
        one.name.removeprefix("sub-")
        for one in root.glob("sub-*")
        if one.is_dir() and not is_hidden(one)
    )
    if not labels:
        raise ValueError(f"BIDS_DIR={root}: has no folder sub-LABEL; give that of a BIDS data set")
    return labels


def find_images(root: Path, wanted: Wanted) -> dict[str, BidsImage]:
    """Find the images that are wanted, by their names, in the order of their paths.

    Raises:
        ValueError: There is no such participant, session or image, or an image is misnamed or there
            twice.
    """
    known = participants_of(root)
    labels = chosen("--participant-label", "sub-", wanted.participants, known)
    wanted_labels = frozenset(labels)
    found = {
        path: suffix
        for suffix in dict.fromkeys(wanted.suffixes)
        for path in anatomical_scans(root, suffix)
        if path.relative_to(root).parts[0].removeprefix("sub-") in wanted_labels
    }
    images = [BidsImage.of(path, root, found[path]) for path in sorted(found)]
    if wanted.sessions is not None:
        has = sorted({one.entities["ses"] for one in images if "ses" in one.entities})
        sessions = chosen("--session-label", "ses-", wanted.sessions, has)
        images = [one for one in images if one.entities.get("ses") in sessions]
    if not images:
        asked = "" if wanted.participants is None else f" of sub-{some(labels, MOST_LABELS)}"
        raise ValueError(
            f"BIDS_DIR={root}: has no image{asked} anat/*_{' or _'.join(wanted.suffixes)}.nii.gz; "
            f"--filter SUFFIX takes others"
        )
    return _by_name(images)


def chosen(
    option: str, prefix: str, given: Iterable[str] | None, known: Sequence[str]
) -> list[str]:
    """Those of the known labels that are given, with or without their prefix; None takes all.

    >>> chosen("--participant-label", "sub-", ["sub-02", "01", "2"], ["01", "02", "2"])
    ['02', '01', '2']

    Raises:
        ValueError: One is not known.
    """
    if given is None:
        return list(known)
    labels = dict.fromkeys(one.removeprefix(prefix) for one in given)
    for label in labels:
        if label not in known:
            there = f"there are {some(known, MOST_LABELS)}" if known else "there are none"
            raise ValueError(f"{option} {label}: there is no {prefix}{label}; {there}")
    return list(labels)


def _by_name(images: Iterable[BidsImage]) -> dict[str, BidsImage]:
    named = dict[str, BidsImage]()
    for one in images:
        if one.name in named:
            raise ValueError(
                f"{one.path}: is there as {named[one.name].path.name}, too; keep one of them"
            )
        named[one.name] = one
    return named

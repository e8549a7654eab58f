"""A part of all volumes, for processes that know nothing of each other."""

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, TypeAlias


@dataclass(frozen=True)
class Part:
    """Part `number` of `count`, chosen by a hash of each volume's path: new files move no others.

    >>> [Part.of("1/2").holds(key) for key in ("a.nii", "b.nii")]
    [True, False]
    """

    number: int = 1
    count: int = 1

    @classmethod
    def of(cls, given: object) -> "Part":
        """Read a setting such as ``3/40``; None is the whole.

        Raises:
            ValueError: It is none.
        """
        if given is None:
            return cls()
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(given))
        number, count = (int(one) for one in found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise ValueError(
                f"part={given}: give its number and how many there are, from 1/40 to 40/40 "
                f"for 40 parts"
            )
        return cls(number, count)

    @property
    def is_whole(self) -> bool:
        """Whether it is all there is."""
        return self.count == 1

    @property
    def file_name(self) -> str:
        """Such as ``3-of-40``."""
        return f"{self.number}-of-{self.count}"

    def holds(self, key: str) -> bool:
        """Whether the volume of a path is of this part."""
        digest = hashlib.sha256(key.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def __str__(self) -> str:
        """As the setting."""
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class Participant:
    """The volumes of a participant of a BIDS data set, whose paths begin with its folder.

    >>> Participant("01").holds("sub-01/anat/sub-01_T1w.nii.gz")
    True

    Attributes:
        label: Without ``sub-``.

    Raises:
        ValueError: The label holds anything but letters, digits and plus signs.
    """

    label: str
    is_whole: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what could not name a file."""
        if not re.fullmatch(r"[0-9a-zA-Z+]+", self.label):
            raise ValueError(f"sub-{self.label}: give a label of letters and digits")

    @property
    def file_name(self) -> str:
        """Such as ``sub-01``."""
        return f"sub-{self.label}"

    def holds(self, key: str) -> bool:
        """Whether the volume of a path is of this participant."""
        return key.startswith(f"{self.file_name}/")

    def __str__(self) -> str:
        """As the folder."""
        return self.file_name


AnyPart: TypeAlias = Part | Participant


def part_named(name: str) -> AnyPart:
    """The part of a text such as ``3/40`` or ``sub-01``.

    Raises:
        ValueError: It is none.
    """
    return Participant(name[4:]) if name.startswith("sub-") else Part.of(name)

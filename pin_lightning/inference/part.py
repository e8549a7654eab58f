"""A part of all volumes, for processes that know nothing of each other."""

import hashlib
import re
from dataclasses import dataclass


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

"""Renaming of landmarks (``data.rename``), for files that name the same landmarks differently."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.spelling import check_one_line, one_spelling
from pin_lightning.common.tables import read_rows
from pin_lightning.data.cases import Case

TEXTS = ("prefix", "suffix", "pattern", "replacement")
CASE = "{case}"  # stands for the name of the case in a prefix or a suffix
# Bounds within which no pattern takes long, as backtracking grows with their product.
MOST_PATTERN, MOST_LABEL = 200, 100  # characters
MOST_REPEATS, MOST_CHOICES = 3, 5  # of * + ? {}, and of these and | together
_ESCAPED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEAT = re.compile(r"[*+?]|\{\d*,?\d*\}")


@dataclass(frozen=True)
class Renaming:
    r"""Maps the labels of landmark files to the names of landmarks, each step where it applies.

    A label loses the prefix, then the suffix; then the pattern is replaced; then `names` gives the
    name of what is left. A label to which nothing applies stays as it is.

    Attributes:
        prefix: Text that labels begin with; ``{case}`` stands for the name of the case.
        suffix: Text that labels end with, likewise.
        pattern: Regular expression; what it matches becomes `replacement`.
        replacement: Its text; ``\1`` is the first group.
        names: Names by label.
    """

    prefix: str = ""
    suffix: str = ""
    pattern: str = ""
    replacement: str = ""
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> "Renaming":
        """Make one from the settings below ``data.rename``; of None, one that changes nothing.

        Raises:
            ValueError: A setting is wrong; the message names it.
        """
        given = settings or {}
        texts = {key: "" if given.get(key) is None else given[key] for key in TEXTS}
        for key, value in texts.items():
            if not isinstance(value, str):
                raise ValueError(f"data.rename.{key}={value}: give text in quotes, '{value}'")
        prefix, suffix, pattern, replacement = (one_spelling(texts[key]) for key in TEXTS)
        made = cls(prefix, suffix, pattern, replacement)
        _compiled(pattern, replacement)  # refused now rather than at the first label
        names = given.get("names")
        return replace(made, names=_names({} if names is None else names))

    def label(self, label: str, case: str) -> str:
        """Name of the landmark with a label in the file of a case.

        Raises:
            ValueError: Nothing would be left of the label, or it is too long for the pattern.

        >>> Renaming(prefix="{case}_").label("ANNA_LM1-1", "ANNA")
        'LM1-1'
        """
        left = label.removeprefix(self.prefix.replace(CASE, case))
        left = left.removesuffix(self.suffix.replace(CASE, case))
        if self.pattern:
            if len(left) > MOST_LABEL:
                said = f"label of {len(left)} characters ({left[:20]}...)"
                raise ValueError(f"data.rename.pattern: {said}; give at most {MOST_LABEL}")
            left = _compiled(self.pattern, self.replacement).sub(self.replacement, left)
        name = self.names.get(left, left).strip()
        if not name:
            raise ValueError(f"data.rename: leaves nothing of the label {label!r} of case {case}")
        check_one_line("data.rename", name)
        return name

    def labels(self, labels: Sequence[str], case: str) -> list[str]:
        """Names of the landmarks with the labels of a case.

        Raises:
            ValueError: As `label`, or two labels would have the same name.
        """
        names = [self.label(label, case) for label in labels]
        first = dict(zip(reversed(names), reversed(labels), strict=True))
        for label, name in zip(labels, names, strict=True):
            if first[name] != label:
                both = f"{first[name]} and {label} of case {case}"
                raise ValueError(f"data.rename: both {both} become {name}; rename otherwise")
        return names

    def cases(self, cases: Sequence[Case]) -> list[Case]:
        """The cases, whose landmarks are renamed when they are read."""
        if self == Renaming():
            return list(cases)
        reading = {case.name: partial(self._read, case) for case in cases if case.read is not None}
        return [replace(case, read=reading.get(case.name)) for case in cases]

    def _read(self, case: Case) -> LandmarkSet:
        assert case.read is not None
        landmarks = case.read()
        names = self.labels(landmarks.names, case.name)
        return LandmarkSet.of(names, landmarks.positions_world)


@lru_cache(maxsize=256)  # asked for with every label
def _compiled(pattern: str, replacement: str) -> re.Pattern[str]:
    said = f"data.rename.pattern={pattern}"
    _check_bounded(said, pattern)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{said}: not a regular expression ({error})") from error
    try:
        re.compile(f"{pattern}|").sub(replacement, "")  # matches for certain
    except (re.error, IndexError) as error:
        said = f"data.rename.replacement={replacement}"
        raise ValueError(f"{said}: does not fit the pattern {pattern} ({error})") from error
    return expression


def _check_bounded(said: str, pattern: str) -> None:
    """Validate that a pattern takes well under a second for any label."""
    bare = _ESCAPED.sub("x", pattern).replace("(?", "(")  # (?:...) repeats nothing
    repeats = len(_REPEAT.findall(bare))
    of_group = re.search(rf"\)(?:{_REPEAT.pattern})", bare)
    too_many = repeats > MOST_REPEATS or repeats + bare.count("|") > MOST_CHOICES
    if len(pattern) > MOST_PATTERN or of_group or too_many:
        raise ValueError(
            f"{said}: may take too long; give at most {MOST_PATTERN} characters, {MOST_REPEATS} of "
            f"* + ? {{}}, none after a group, and {MOST_CHOICES} of these and | together"
        )


def _names(given: Any) -> dict[str, str]:
    """Names by label, from a mapping or a CSV file with the columns old and new."""
    if isinstance(given, str):
        path = Path(given)
        if not path.is_file():
            raise ValueError(
                f"data.rename.names={given}: there is no such file; give a CSV file with the "
                f"columns old and new, or {{OLD: NEW}}"
            )
        pairs = [(row["old"], row["new"]) for row in read_rows(path, ("old", "new"))]
    elif isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        raise ValueError(f"data.rename.names={given}: give {{OLD: NEW}}, or a CSV file")
    names: dict[str, str] = {}
    for old, new in pairs:
        if new is None or not str(new).strip():
            raise ValueError(f"data.rename.names: {old} has no new name; give one")
        label, name = one_spelling(str(old).strip()), one_spelling(str(new).strip())
        if names.setdefault(label, name) != name:
            raise ValueError(f"data.rename.names: {old} is both {names[label]} and {name}")
    return names

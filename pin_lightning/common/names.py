"""Misspelt landmark names: detection across cases, and suggestions for messages."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches

SIMILAR = 0.8  # ratio of difflib
FEW, MOST = 0.2, 0.5  # shares of the cases
# Names that differ only by one of these pairs are different landmarks.
OPPOSITES = (
    ("left", "right"),
    ("anterior", "posterior"),
    ("superior", "inferior"),
    ("medial", "lateral"),
    ("upper", "lower"),
    ("proximal", "distal"),
    ("mesial", "distal"),
    ("dorsal", "ventral"),
    ("internal", "external"),
    ("inner", "outer"),
)
# A side letter: alone, at either end of a word, or as a capital: "eye_L", "eyeL", "Leye".
SIDE = re.compile(r"(?<![^\W\d_])[lrLR]|[lrLR](?![^\W\d_])|(?<=[a-z])[LR]")


def probable_names(names_of: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], str]:
    """Map each probable misspelling (case, name) to the name that is meant.

    A name counts as a misspelling if few cases have it, most cases have a similar one, and no case
    has both. Names that differ in a number, a side or a direction are different landmarks.

    Args:
        names_of: Names in each case's file, by case.

    >>> probable_names({"a": ["nasion"], "b": ["nasion"], "c": ["Nasoin"]})
    {('c', 'Nasoin'): 'nasion'}
    """
    cases_of: dict[str, set[str]] = defaultdict(set)
    for case, names in names_of.items():
        for name in names:
            cases_of[name].add(case)
    usual = [name for name, cases in cases_of.items() if len(cases) > MOST * len(names_of)]
    found = {}
    for name, cases in cases_of.items():
        if len(cases) <= max(1, FEW * len(names_of)):
            others = [other for other in usual if other != name and not cases & cases_of[other]]
            likeness = {other: similarity(name, other) for other in others}
            nearest = max(likeness, key=lambda other: likeness[other], default=name)
            if likeness.get(nearest, 0) >= SIMILAR:
                found.update({(case, name): nearest for case in sorted(cases)})
    return found


def similarity(name: str, other: str) -> float:
    """Similarity of two names, from 0 to 1; 0 if they name different landmarks on purpose.

    >>> similarity("L_eye 01", "leye1"), similarity("eye_L", "eye_R"), similarity("p1", "p11")
    (1.0, 0.0, 0.0)
    """
    plain, other_plain = _plain(name), _plain(other)
    if plain == other_plain:
        return 1.0
    same_numbers = re.findall("[0-9]+", plain) == re.findall("[0-9]+", other_plain)
    if not same_numbers or _is_opposite(name, other):
        return 0.0
    return SequenceMatcher(None, plain, other_plain, autojunk=False).ratio()


def did_you_mean(name: str, names: Collection[str]) -> str:
    """End of a message about an unknown name: the most similar of the names, or all of them.

    >>> did_you_mean("CPS", ["CSP", "front"])
    'did you mean CSP?'
    """
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def _plain(name: str) -> str:
    """The name without case, blanks, underscores, hyphens and leading zeros."""
    letters = re.sub(r"[\s_-]+", "", name.casefold())
    return re.sub("(?<![0-9])0+(?=[0-9])", "", letters)


def _is_opposite(name: str, other: str) -> bool:
    first, second = name.casefold(), other.casefold()
    for one, opposite in OPPOSITES:
        pair = {first.replace(one, "*"), first.replace(opposite, "*")}
        if pair & {second.replace(one, "*"), second.replace(opposite, "*")}:
            return True
    return SIDE.sub("*", name) == SIDE.sub("*", other)

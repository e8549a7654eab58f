"""Cases whose labels are not those of the others, and the renaming that brings them together."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import ceil

from pin_lightning.data.checks.cases import Finding, listed
from pin_lightning.data.renaming import CASE, TEXTS, Renaming

# Shares of the smaller set; with no more in common, the labels of two cases, or of a case and all
# others, are different.
OF_TWO, OF_ALL = 0.25, 0.5
RENAMED = 0.8  # share of the smaller set that a renaming has to bring together
MOST_TRIED = 3  # cases whose labels suggest a renaming
MOST_PART = 60  # characters of a prefix or suffix
SAME = "if they name the same landmarks"
HOW = (
    "map them by data.rename.names={OLD: NEW}, data.rename.prefix, suffix or pattern "
    "(docs/data.md), or correct the files"
)

LabelsOf = Mapping[str, Sequence[str]]


def label_sets(labels_of: LabelsOf, known: Sequence[str] = ()) -> list[Finding]:
    """Find cases that have hardly a label in common with the others: an error each.

    Cases belong together if they share more than a quarter of the labels of the smaller set, or
    both belong to a third; of three or more, each needs more than half of its labels in the others.
    Where no more than half of the cases belong together, none is taken for right, and one error
    concerns the data set.

    Args:
        labels_of: Labels of each case.
        known: Labels that are right, as those of a trained run; none by default.
    """
    labels_of = {case: labels for case, labels in labels_of.items() if labels}
    groups = _together(labels_of)
    if known:
        fitting = [group for group in groups if _share(_union(labels_of, group), known)]
        if groups and not fitting:
            return [_of_none(labels_of, known)]
        return _of_cases(labels_of, [case for group in fitting for case in group])
    usual = max(groups, key=len, default=[])
    if len(groups) > 1 and len(usual) * 2 <= len(labels_of):
        return [_of_all(labels_of, groups)]
    return _of_cases(labels_of, usual)


def _of_none(labels_of: LabelsOf, known: Sequence[str]) -> Finding:
    own, advice = list(_union(labels_of, labels_of)), _advice(labels_of, [*labels_of], [], known)
    said = f"the labels of the cases ({listed(own)}) are not those of the run ({listed(known)})"
    return Finding("error", "", "", f"{said}; {advice}")


def _of_all(labels_of: LabelsOf, groups: Sequence[Sequence[str]]) -> Finding:
    first, second = sorted(groups, key=len, reverse=True)[:2]
    sets = " and ".join(
        f"{listed(list(labels_of[group[0]]))} ({_called(group)})" for group in (first, second)
    )
    more = f", {len(groups)} sets in all" if len(groups) > 2 else ""
    every = [case for group in groups for case in group]
    said = f"the labels of the cases differ: {sets}{more}"
    return Finding("error", "", "", f"{said}; {_advice(labels_of, every, [])}")


def _of_cases(labels_of: LabelsOf, usual: Sequence[str]) -> list[Finding]:
    alone = [case for case in usual if _stands_alone(labels_of, usual, case)]
    if len(alone) * 2 < len(usual):
        usual = [case for case in usual if case not in alone]
    odd = [case for case in labels_of if case not in usual]
    right, advice = list(_union(labels_of, usual)), _advice(labels_of, odd, usual) if odd else ""
    said = f"are not those of the other cases ({listed(right)}); {advice}"
    return [
        Finding("error", case, "", f"its labels ({listed(list(labels_of[case]))}) {said}")
        for case in odd
    ]


def _stands_alone(labels_of: LabelsOf, cases: Sequence[str], case: str) -> bool:
    others = _union(labels_of, [other for other in cases if other != case])
    return not _share(labels_of[case], others, OF_ALL)


def _called(group: Sequence[str]) -> str:
    return group[0] if len(group) == 1 else f"{group[0]} and {len(group) - 1} more"


def _advice(
    labels_of: LabelsOf, odd: Sequence[str], usual: Sequence[str], known: Sequence[str] = ()
) -> str:
    renaming = _suggestion(labels_of, odd, usual, known)
    if renaming is None:
        return f"{SAME}, {HOW}"
    settings = {part: text for part in TEXTS if (text := getattr(renaming, part))}
    shown = " ".join(shlex.quote(f"data.rename.{part}={text}") for part, text in settings.items())
    return f"{SAME}, {shown} brings the labels together; else {HOW}"


def _together(labels_of: LabelsOf) -> list[list[str]]:
    """Groups of cases that share labels, directly or by way of others."""
    groups: list[list[str]] = []
    sets = {case: frozenset(labels) for case, labels in labels_of.items()}
    for case, labels in sets.items():
        linked = [group for group in groups if any(_share(sets[other], labels) for other in group)]
        rest = [group for group in groups if group not in linked]
        groups = [*rest, [*(one for group in linked for one in group), case]]
    return groups


def _share(one: Iterable[str], other: Iterable[str], least: float = OF_TWO) -> bool:
    one, other = frozenset(one), frozenset(other)  # which copies none of its own kind
    return len(one & other) > least * min(len(one), len(other))


def _union(labels_of: LabelsOf, cases: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(label for case in cases for label in labels_of[case])


def _suggestion(
    labels_of: LabelsOf, odd: Sequence[str], usual: Sequence[str], known: Sequence[str] = ()
) -> Renaming | None:
    """The simplest renaming that brings the labels of all cases together, if one is found."""
    few, others = odd[:MOST_TRIED], usual[:MOST_TRIED]
    target = list(known) or list(_union(labels_of, usual))
    for renaming in _candidates(labels_of, [*few, *others[:1]], target):
        if _unites(renaming, labels_of, few, others, known) and _unites(
            renaming, labels_of, odd, usual, known
        ):
            return renaming
    return None


def _unites(
    renaming: Renaming,
    labels_of: LabelsOf,
    odd: Sequence[str],
    usual: Sequence[str],
    known: Sequence[str],
) -> bool:
    """Whether the largest set then holds almost all labels of each odd case."""
    try:
        renamed = {case: set(renaming.labels(labels_of[case], case)) for case in (*odd, *usual)}
    except ValueError:  # two labels would be one, or nothing be left
        return False
    right = set(known).union(*(renamed[case] for case in usual))
    fixed = [*(renamed[case] for case in odd), *([right] if right else [])]
    most = max(fixed, key=len)
    return all(_share(labels, most, RENAMED) for labels in fixed)


def _candidates(
    labels_of: LabelsOf, cases: Sequence[str], target: Sequence[str]
) -> Iterator[Renaming]:
    """Renamings that the labels suggest, the simplest first."""
    prefixes = _parts({case: _prefix(labels_of[case]) for case in cases}, of_start=True)
    suffixes = _parts({case: _suffix(labels_of[case]) for case in cases}, of_start=False)
    yield from (Renaming(prefix=prefix) for prefix in prefixes)
    yield from (Renaming(suffix=suffix) for suffix in suffixes)
    for prefix, suffix in product(prefixes[:10], suffixes[:10]):
        yield Renaming(prefix=prefix, suffix=suffix)
    whole = _prefix(target).rstrip("0123456789")
    for prefix in prefixes if whole else []:
        yield Renaming(pattern=f"^{re.escape(prefix)}", replacement=whole.replace("\\", r"\\"))
    for mark in ("_", "-", r"\.", " ", ":"):
        patterns = (f"^[^{mark}]*{mark}", f"{mark}[^{mark}]*$", f"^.*{mark}")
        yield from (Renaming(pattern=pattern) for pattern in patterns)


def _parts(common: Mapping[str, str], of_start: bool) -> list[str]:
    """Parts of the common starts or ends of labels; those that end at a mark come first."""
    parts = dict[str, None]()
    for case, text in common.items():
        for length in range(1, min(len(text), MOST_PART) + 1):
            part = text[:length] if of_start else text[-length:]
            beyond = text[length : length + 1] if of_start else text[-length - 1 : -length]
            if beyond != " ":  # blanks go with what they set apart
                parts |= {part.replace(case, CASE): None, part: None}
    inner = -1 if of_start else 0
    inside = {part: part[inner].isalnum() or part[inner] in "{}" for part in parts}
    return sorted(parts, key=lambda part: (inside[part], CASE not in part, len(part)))


def _prefix(labels: Sequence[str]) -> str:
    """Longest start that almost all labels have in common.

    >>> _prefix(["LM1", "LM2"])
    'LM'
    """
    ordered, most = sorted(labels), ceil(RENAMED * len(labels))
    pairs = zip(ordered, ordered[most - 1 :], strict=False)  # of windows of that many labels
    return max((_common(*pair) for pair in pairs), key=len, default="")


def _common(one: str, other: str) -> str:
    differ = (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
    return one[: next(differ, min(len(one), len(other)))]


def _suffix(labels: Sequence[str]) -> str:
    return _prefix([label[::-1] for label in labels])[::-1]

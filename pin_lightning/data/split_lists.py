"""Validated lists of case names for a split, from settings or text files."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pin_lightning.common.spelling import one_spelling
from pin_lightning.data.images.reading import stem

_COMMENT = re.compile(r"(^|\s)#.*")
_SHOWN = 3


@dataclass(frozen=True)
class NameList:
    """Case names from a setting.

    Attributes:
        said: The setting and its value, for messages.
        names: Unique names of known cases.
    """

    said: str
    names: tuple[str, ...]


def read_lists(
    settings: Mapping[str, Any], subjects: Mapping[str, str], skipped: Collection[str] = ()
) -> dict[str, NameList]:
    """Read and validate the lists of case names, by their settings below ``data.split``.

    A list is given as such, or as the path of a text file with one name per line; blank lines and
    comments after ``#`` are ignored. A name may end in an image's suffix: ``NAME.nii.gz``.

    Args:
        settings: Values of ``train_names``, ``val_names`` and ``test_names``; null is left out.
        subjects: Subject of every case, by the case's name.
        skipped: Names of skipped cases, which lists may hold as well.

    Raises:
        ValueError: A file cannot be read; a name is not text, not known or given twice; a case or
            a subject is in two lists; or, without ``train_names``, only some cases of a subject
            are named, so that the others would train.
    """
    lists = {
        setting: _read_list(setting, given, {*subjects, *skipped}, skipped)
        for setting, given in settings.items()
        if given is not None
    }
    _check_subjects(lists, subjects)
    return lists


def setting_text(setting: str, value: Any) -> str:
    """Format a setting and its value for messages, with the first few names of a list.

    >>> setting_text("val_names", list("abcde"))
    'data.split.val_names=[a, b, c, and 2 more]'
    """
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    shown = f"[{_some([str(name) for name in value])}]" if is_list else value
    return f"data.split.{setting}={'null' if shown is None else shown}"


def _read_list(
    setting: str, given: Any, known: Collection[str], skipped: Collection[str]
) -> NameList:
    said = setting_text(setting, given)
    listed = _lines(said, Path(given)) if isinstance(given, str | Path) else given
    if not isinstance(listed, Sequence):
        raise ValueError(f"{said}: give a list, as in ['{given}'], or a text file of case names")
    names = tuple(_case_name(said, name, known) for name in listed)
    _check_known(said, names, known)
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{said}: {_some(twice)} given twice; name each case once")
    return NameList(said, tuple(name for name in names if name not in skipped))


def _lines(said: str, path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{said}: is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(
            f"{said}: cannot be read ({reason}); give a text file with one case name per line, "
            f"or a list as in [{path.name}]"
        ) from error
    stripped = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    return [line for line in stripped if line]


def _case_name(said: str, given: Any, known: Collection[str]) -> str:
    """The name, without an image's suffix if only so it is known."""
    if not isinstance(given, str):
        shown = "null" if given is None else given
        raise ValueError(f"{said}: {shown} is not text; write it in quotes, '{shown}'")
    given = one_spelling(given)
    bare = stem(Path(given)) or given
    return bare if given not in known and bare in known else given


def _check_known(said: str, names: Iterable[str], known: Collection[str]) -> None:
    unknown = sorted({name for name in names if name not in known})
    if not unknown:
        return
    # Ignoring case, so that "anna" finds "ANNA"; without cutoff, so that a hint is always given.
    folded = {name.casefold(): name for name in sorted(known)}
    nearest = get_close_matches(unknown[0].casefold(), folded, n=1, cutoff=0.0)
    hint = f"; the name nearest to {unknown[0]} is {folded[nearest[0]]}" if nearest else ""
    raise ValueError(f"{said}: no case named {_some(unknown)}{hint}")


def _check_subjects(lists: Mapping[str, NameList], subjects: Mapping[str, str]) -> None:
    named: dict[str, tuple[str, NameList]] = {}  # by subject: its first case, and the list of that
    for given in lists.values():
        for name in given.names:
            other, other_list = named.setdefault(subjects[name], (name, given))
            both = f"{other_list.said}, {given.said}"
            if other_list is not given and name in other_list.names:
                raise ValueError(f"{both}: {name} is in both; name it in one of them")
            if other_list is not given:
                same = f"{other} and {name} are of the same subject {subjects[name]}"
                raise ValueError(f"{both}: {same}; name them in one list")
    if "train_names" in lists:
        return
    listed = {name for given in lists.values() for name in given.names}
    for name in sorted(subjects.keys() - listed):
        if subjects[name] in named:
            other, given = named[subjects[name]]
            raise ValueError(
                f"{given.said}: names {other} and not {name}, of the same subject "
                f"{subjects[name]}; name both, or leave {name} out with data.split.train_names"
            )


def _some(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _SHOWN} more"] * (len(names) > _SHOWN)
    return ", ".join([*names[:_SHOWN], *more])

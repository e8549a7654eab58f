"""Spelling of the names of cases and landmarks: one Unicode form, one line of text."""

import unicodedata


def one_spelling(name: str) -> str:
    """A name in the one form (NFC) in which names are compared and written.

    A letter with an accent is one character or two, as the system that wrote it prefers.

    >>> one_spelling("Mu\u0308ller") == "M\u00fcller"
    True
    """
    return unicodedata.normalize("NFC", name)


def check_one_line(where: str, name: str) -> None:
    """Validate that a name is one line of text, as the files that it is written to need.

    Raises:
        ValueError: It holds a line break or a null character; the message begins with `where`.
    """
    if (name and name.splitlines() != [name]) or "\0" in name:
        raise ValueError(f"{where}: the name {name!r} is not one line of text; rename it")

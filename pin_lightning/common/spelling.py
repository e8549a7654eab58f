"""Spelling of the names of cases and landmarks: one Unicode form, one line of text."""

import unicodedata


def one_spelling(name: str) -> str:
    """A name in the one form (NFC, `readable`) in which names are compared and written.

    A letter with an accent is one character or two, as the system that wrote it prefers.

    >>> one_spelling("Mu\u0308ller") == "M\u00fcller"
    True
    """
    return unicodedata.normalize("NFC", readable(name))


def readable(name: str) -> str:
    r"""The name of a file as text that can be written: bytes that are not UTF-8 as ``%XX``.

    >>> readable(b"M\xfcller.nii".decode("utf-8", "surrogateescape"))
    'M%FCller.nii'
    """
    return "".join(f"%{ord(one) - 0xDC00:02X}" if _is_byte(one) else one for one in name)


def _is_byte(letter: str) -> bool:
    """Whether Python put a letter in the place of a byte that it could not decode (PEP 383)."""
    return "\udc80" <= letter <= "\udcff"


def check_one_line(where: str, name: str) -> None:
    """Validate that a name is one line of text, as the files that it is written to need.

    Raises:
        ValueError: It holds a line break, a null character or half of a character (a surrogate);
            the message begins with `where`.
    """
    is_half = any("\ud800" <= letter <= "\udfff" for letter in name)
    if (name and name.splitlines() != [name]) or "\0" in name or is_half:
        raise ValueError(f"{where}: the name {name!r} is not one line of text; rename it")

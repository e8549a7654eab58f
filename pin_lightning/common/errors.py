"""One-line messages of errors that the user can mend."""

import errno

from hydra.errors import InstantiationException
from omegaconf.errors import OmegaConfBaseException

# A quota and a limit on the size of files are full disks, too.
FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
REMEDIES = {
    **dict.fromkeys(FULL, "free some space and start again"),
    errno.EROFS: "give a folder that can be written to",
    errno.ENAMETOOLONG: "give it a shorter name",
}


def user_mistake(error: BaseException) -> str | None:
    """One-line message of a user's mistake; None for any other error.

    Hydra wraps what a constructor raises; the message is that of the cause.
    """
    if isinstance(error, InstantiationException):
        cause = error.__cause__
        return user_mistake(cause) if cause is not None else str(error).splitlines()[0]
    if isinstance(error, OmegaConfBaseException):
        return f"config: {str(error).splitlines()[0]}"
    if isinstance(error, OSError) and error.errno in REMEDIES:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}; {REMEDIES[error.errno]}"
    if isinstance(error, ValueError | OSError):
        return " ".join(str(error).split())
    return None


def failure(what: object, error: Exception) -> str:
    """One line about an exception of any kind that ends the work on one of many.

    Args:
        what: The one, such as the path of a volume.
        error: What was raised.
    """
    mistake = user_mistake(error)
    if mistake is not None:
        return mistake
    if isinstance(error, MemoryError):
        return f"{what}: too little memory; close other programs, or take fewer at a time"
    return " ".join(f"{what}: {type(error).__name__}: {error}".split())

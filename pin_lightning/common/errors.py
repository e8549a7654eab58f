"""Errors that name a mistake of the user, in one line."""

from hydra.errors import InstantiationException
from omegaconf.errors import OmegaConfBaseException


def user_mistake(error: BaseException) -> str | None:
    """The one line to print for an error, none when it is not the user's.

    Hydra wraps what a constructor raises; the cause says what is wrong.
    """
    if isinstance(error, InstantiationException):
        cause = error.__cause__
        return user_mistake(cause) if cause is not None else str(error).splitlines()[0]
    if isinstance(error, OmegaConfBaseException):
        return f"config: {str(error).splitlines()[0]}"
    if isinstance(error, ValueError | OSError):
        return " ".join(str(error).split())
    return None

"""Validation of the settings of systems."""


def check(setting: str, value: object, is_right: bool, wanted: str) -> None:
    """Raise a `ValueError` that names a setting, its value and what to give, unless it is right.

    >>> check("widths", [4], is_right=False, wanted="two or more")
    Traceback (most recent call last):
    ValueError: system.widths=[4]: give two or more
    """
    if not is_right:
        raise ValueError(f"system.{setting}={value}: give {wanted}")

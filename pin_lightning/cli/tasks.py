"""Tasks of programs, whose bad input ends in one clear line and exit code 2."""

import functools
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from pin_lightning.cli.ending import end
from pin_lightning.cli.failures import FAILED, in_sweep, write_failure
from pin_lightning.common.errors import user_mistake


def one_line_errors(program: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a Hydra task function: bad input prints one line instead of a traceback.

    Only errors that name a user's mistake are caught: `ValueError`, `OSError` and config errors.
    Anything else is a defect of this program and keeps its traceback. In a sweep, a job that fails
    for any reason returns None, so that the others go on, and writes the reason to a file for the
    process that closes the sweep (`studies.sweeps.closing`).
    """

    @functools.wraps(program)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if in_sweep():
            return _job(program, *args, **kwargs)
        try:
            return program(*args, **kwargs)
        except Exception as error:
            mistake = user_mistake(error)
            if mistake is None:
                raise
            end(mistake, error)

    return wrapper


def _job(program: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    (folder / FAILED).unlink(missing_ok=True)  # of an earlier sweep
    try:
        return program(*args, **kwargs)
    except SystemExit as error:
        if error.code != 2:  # the whole process has been asked to end
            raise
        mistake = "ended with exit code 2"
    except Exception as error:
        mistake = user_mistake(error) or f"{type(error).__name__}: {error}"
        if user_mistake(error) is None:
            traceback.print_exc()
    write_failure(folder, list(hydra_config.overrides.task), mistake)
    return None

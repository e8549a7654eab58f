"""The run that a setting names: a folder, a file of ``pin-lightning pack``, or a ready model.

A file is unpacked into a temporary folder of this process, which is removed when it ends. So its
checksums hold for what is then read, processes that begin at once do not meet, no folder of the
user's is written to, and nothing is left to go out of date.
"""

from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from tempfile import TemporaryDirectory

from pin_lightning.common.names import did_you_mean
from pin_lightning.runs.packed import unpack

ENDING = ".zip"
# A wheel has the ready models inside the package, a checkout beside it.
_PACKAGED = Path(__file__).resolve().parents[1] / "models"
MODELS = _PACKAGED if _PACKAGED.is_dir() else _PACKAGED.parents[1] / "models"


def found_run(run: str | Path) -> Path:
    """Folder of the run, or of the folds, that the setting ``run`` names.

    Args:
        run: A folder, else a file of ``pin-lightning pack``, else the name of a ready model.

    Raises:
        ValueError: There is none, or the file is damaged, of a later version, or another one.
        OSError: It cannot be opened, or there is no place to unpack it.
    """
    path = Path(str(run))  # a command line may give a number
    if path.is_dir():
        return path
    file = path if path.is_file() else ready_models().get(str(run))
    if file is None:
        raise ValueError(f"run={run}: {_nothing(str(run))}")
    facts = file.stat()
    return _unpacked(file.resolve(), facts.st_size, facts.st_mtime_ns)


def ready_models() -> dict[str, Path]:
    """Files of the models that come with the program, by their names."""
    return {path.name.removesuffix(ENDING): path for path in sorted(MODELS.glob(f"*{ENDING}"))}


def _nothing(run: str) -> str:
    absent = "there is no such folder or file"
    if "/" in run or not (known := ready_models()):
        return f"{absent}; give a folder that train.py wrote, or a file of pin-lightning pack"
    return f"{absent}, and no such ready model; {did_you_mean(run, known)}"


@cache
def _unpacked(path: Path, size: int, modified_ns: int) -> Path:
    """Folder of an unpacked file; unpacked again only once the file has changed."""
    folder = TemporaryDirectory(prefix="pin-lightning-", ignore_cleanup_errors=True)
    try:
        run = unpack(path, Path(folder.name))
    except BaseException:
        folder.cleanup()
        raise
    Finalize(None, folder.cleanup, exitpriority=0)  # of this process, also one of multiprocessing
    return run

"""The note that a failed job of a sweep leaves in its folder."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from pin_lightning.common.files import write_text

FAILED = "failed.txt"


@dataclass(frozen=True)
class Failure:
    """A failed job: its number in the sweep, the overrides of its command line, the reason."""

    number: int
    overrides: tuple[str, ...]
    mistake: str

    def line(self, shared: Collection[str] = ()) -> str:
        """One line of text, without the overrides that all jobs share."""
        own = ", ".join(one for one in self.overrides if one not in shared)
        return f"job {self.number}{f' ({own})' if own else ''}: {self.mistake}"


def in_sweep() -> bool:
    """Tell whether this process runs jobs of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def write_failure(folder: Path, overrides: Sequence[str], mistake: str) -> None:
    """Write the reason into the folder of the job, for the program that closes the sweep."""
    write_text(folder / FAILED, "\n".join([" ".join(mistake.split()), *overrides]) + "\n")


def read_failure(folder: Path) -> Failure | None:
    """The failure noted in the folder of a job, None without a note."""
    path = folder / FAILED
    if not path.is_file():
        return None
    mistake, *overrides = path.read_text(encoding="utf-8").splitlines()
    return Failure(int(folder.name), tuple(overrides), mistake)

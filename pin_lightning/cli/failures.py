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
    """A job without a result.

    Attributes:
        number: Its number in the sweep.
        overrides: What its command line asked for, as far as it is known.
        mistake: Why it failed.
    """

    number: int
    overrides: tuple[str, ...]
    mistake: str

    def line(self, shared: Collection[str] = ()) -> str:
        """The failure in one line.

        Args:
            shared: Overrides of all jobs, which are left out.
        """
        own = ", ".join(one for one in self.overrides if one not in shared)
        return f"job {self.number}{f' ({own})' if own else ''}: {self.mistake}"


def in_sweep() -> bool:
    """Whether this process runs jobs of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def write_failure(folder: Path, overrides: Sequence[str], mistake: str) -> None:
    """Leave in the folder of a job why it failed, for what closes the sweep."""
    write_text(folder / FAILED, "\n".join([" ".join(mistake.split()), *overrides]) + "\n")


def read_failure(folder: Path) -> Failure | None:
    """Why the job of a folder failed; none where nothing is known of a failure."""
    path = folder / FAILED
    if not path.is_file():
        return None
    mistake, *overrides = path.read_text(encoding="utf-8").splitlines()
    return Failure(int(folder.name), tuple(overrides), mistake)

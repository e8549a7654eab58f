"""Training loaders that resume within an epoch from Lightning's checkpoints."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from pin_lightning.common.types import Tensor


class ResumableLoader(ABC):
    """Batches of the next epoch each time it is iterated over.

    Lightning keeps `state_dict` in each checkpoint and gives it back to `load_state_dict` before it
    iterates again; the batches left of the epoch follow.

    Attributes:
        epoch: Epoch of the batches, counted from 0.
        given: Batches of the epoch that were given.
    """

    epoch = 0
    given = 0
    _begun = False  # whether the epoch was iterated over

    @abstractmethod
    def __len__(self) -> int:
        """Return the batches of an epoch."""

    @abstractmethod
    def _rest(self) -> Iterator[dict[str, Tensor]]:
        """Draw the batches of the epoch that were not given yet, each when it is asked for."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        if self._begun:
            self.epoch, self.given = self.epoch + 1, 0
        self._begun = True
        return self._counted()

    def _counted(self) -> Iterator[dict[str, Tensor]]:
        for batch in self._rest():
            self.given += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch."""
        return {"epoch": self.epoch, "given": self.given}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state of `state_dict`."""
        self.epoch, self.given, self._begun = state_dict["epoch"], state_dict["given"], False

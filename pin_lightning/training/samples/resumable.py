"""Training loaders that go on in the middle of an epoch, as Lightning's checkpoints ask for."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from pin_lightning.common.types import Tensor


class ResumableLoader(ABC):
    """Batches of one epoch after another, each time it is iterated over.

    Lightning keeps `state_dict` in each checkpoint and gives it back to `load_state_dict` before it
    iterates again; then come the batches that were left of the epoch.

    Attributes:
        epoch: The epoch that batches come from, counted from 0.
        given: Its batches that were given.
    """

    epoch = 0
    given = 0
    _begun = False  # whether the epoch was iterated over

    @abstractmethod
    def __len__(self) -> int:
        """Batches of an epoch."""

    @abstractmethod
    def _rest(self) -> Iterator[dict[str, Tensor]]:
        """Batches of the epoch that were not given yet, each drawn when it is asked for."""

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
        """Where the epoch is."""
        return {"epoch": self.epoch, "given": self.given}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.epoch, self.given, self._begun = state_dict["epoch"], state_dict["given"], False

import pytest
import torch
from lightning_fabric.utilities.types import _Stateful

from pin_lightning.training.samples.resumable import ResumableLoader


class Numbers(ResumableLoader):
    """Epochs of four numbers: 0 to 3, 10 to 13, ..."""

    def __len__(self):
        return 4

    def _rest(self):
        for number in range(self.given, 4):
            yield {"number": torch.tensor(10 * self.epoch + number)}


def numbers(loader):
    return [int(batch["number"]) for batch in loader]


def test_each_iteration_is_the_next_epoch():
    loader = Numbers()
    assert [numbers(loader) for _ in range(3)] == [[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]]


def test_an_epoch_that_is_broken_off_is_over():
    loader = Numbers()
    next(iter(loader))
    assert loader.state_dict() == {"epoch": 0, "given": 1}
    assert numbers(loader) == [10, 11, 12, 13]


@pytest.mark.parametrize(
    ("given", "first"), [(0, [20, 21, 22, 23]), (3, [23]), (4, [])], ids=["none", "some", "all"]
)
def test_goes_on_in_the_middle_of_an_epoch(given, first):
    loader = Numbers()
    loader.load_state_dict({"epoch": 2, "given": given})
    assert numbers(loader) == first
    assert numbers(loader) == [30, 31, 32, 33]


def test_lightning_does_not_take_a_batch_of_a_finished_epoch_when_it_iterates_anew():
    """After the last step of an epoch it iterates once for what is left, and then again."""
    loader = Numbers()
    loader.load_state_dict({"epoch": 2, "given": 4})
    iter(loader)
    assert numbers(loader) == [30, 31, 32, 33]


def test_lightning_finds_it_stateful():
    assert isinstance(Numbers(), _Stateful)

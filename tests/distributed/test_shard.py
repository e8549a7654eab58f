import pytest
import torch

from pin_lightning.distributed.shard import WHOLE, Shard


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("number", [0, 1, 4, 7])
def test_all_processes_together_have_each_item_once(count, number):
    parts = [Shard(rank, count).of(range(number)) for rank in range(count)]
    assert sorted(item for part in parts for item in part) == list(range(number))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_rows_of_a_tensor_by_hand():
    assert torch.arange(7)[Shard(1, 3).rows].tolist() == [1, 4]
    assert torch.arange(3)[WHOLE.rows].tolist() == [0, 1, 2]

from pin_lightning.distributed.ranks import Shard
from pin_lightning.training.samples.passes import PassSampler


def test_each_process_has_its_part_of_a_pass_and_all_of_the_same_length():
    places = [list(PassSampler(7, 3, Shard(rank, 3))) for rank in range(3)]
    assert [len(own) for own in places] == [3, 3, 3]
    (whole,) = [list(PassSampler(7, 3))]
    together = sorted(place for own in places for place in own)
    assert together[:7] == whole
    assert [index for _, index in together[7:]] == [index for _, index in whole[:2]]  # once more


def test_the_order_of_a_pass_is_random_and_its_own():
    order = PassSampler(50, 0)
    first = [index for _, index in order]
    assert sorted(first) == list(range(50))
    order.begin(1, 0)
    second = [index for _, index in order]
    assert sorted(second) == list(range(50))
    assert len({tuple(first), tuple(second), tuple(range(50))}) == 3
    order.begin(0, 40)
    assert list(order) == list(zip(range(40, 50), first[40:], strict=True))

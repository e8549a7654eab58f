import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from pin_lightning.distributed.random_states import (
    global_states,
    of_all_processes,
    of_this_process,
    seed_of,
    set_global_states,
)


def test_seeds_are_of_their_own():
    seeds = [seed_of(*one) for one in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, -1))]
    assert len(set(seeds)) == 5
    assert seed_of(3, 4, 5) == seed_of(3, 4, 5)
    assert all(0 <= seed < 2**64 for seed in (*seeds, seed_of(-1, 0, 0)))


def test_dropout_goes_on_with_the_numbers_that_would_have_come(tmp_path):
    torch.save(global_states(), tmp_path / "states.pt")
    expected = torch.rand(5)
    torch.manual_seed(99)
    set_global_states(torch.load(tmp_path / "states.pt", weights_only=True))
    assert torch.equal(torch.rand(5), expected)


def test_states_of_more_processes_than_there_are_now_are_not_taken(caplog):
    before = torch.get_rng_state()
    assert of_this_process(torch.stack([before, before])) is None
    assert "saved by 2 processes, now there are 1" in caplog.text
    set_global_states({"cpu": torch.zeros(3, 8, dtype=torch.uint8)})
    assert torch.equal(torch.get_rng_state(), before)


def _process(rank, folder):
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    states = of_all_processes(torch.tensor([10 + rank, 20 + rank]))
    torch.manual_seed(rank)
    random, expected = global_states(), torch.rand(3)
    torch.manual_seed(99)
    set_global_states(random)
    goes_on = torch.equal(torch.rand(3), expected)
    torch.save((states, of_this_process(states), goes_on), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_each_of_two_processes_keeps_all_states_and_takes_its_own(tmp_path):
    mp.start_processes(_process, (tmp_path,), nprocs=2, start_method="fork")
    for rank in range(2):
        states, own, goes_on = torch.load(tmp_path / f"{rank}.pt")
        assert goes_on
        assert states.tolist() == [[10, 20], [11, 21]]
        assert own.tolist() == [10 + rank, 20 + rank]

import pytest

from pin_lightning.cli.tasks import one_line_errors
from pin_lightning.distributed.ranks import Shard, arguments_of_others, is_first, rank_name

# Environment of a process: by nobody, Lightning, torchrun, SLURM, and by hand on a second machine.
NAMES = [
    ({}, ""),
    ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, ""),
    ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, "rank 1"),
    ({"RANK": "0", "LOCAL_RANK": "0"}, ""),
    ({"RANK": "5", "LOCAL_RANK": "0"}, "rank 5"),
    ({"SLURM_PROCID": "3"}, "rank 3"),
    ({"NODE_RANK": "1"}, "node 1"),
]


@pytest.fixture
def started(monkeypatch):
    """Sets the environment of a process that was started with others."""
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    return lambda variables: [monkeypatch.setenv(*one) for one in variables.items()]


@pytest.mark.parametrize(("variables", "name"), NAMES)
def test_a_process_is_known_by_what_started_it(started, variables, name):
    started(variables)
    assert rank_name() == name
    assert is_first() == (name == "")
    assert bool(arguments_of_others([])) == (name != "")


def test_the_others_have_the_run_folder_of_all_or_none(started):
    started({"LOCAL_RANK": "1"})
    assert "hydra.run.dir=." in arguments_of_others(["seed=0"])
    for known in ("run_dir=x", 'hydra.run.dir="outputs/x"'):
        assert not any("run.dir" in one for one in arguments_of_others(["seed=0", known]))


def test_the_others_say_who_they_are(started, capsys):
    @one_line_errors
    def program():
        raise ValueError("data.root=x: is not there")

    started({"LOCAL_RANK": "2"})
    with pytest.raises(SystemExit):
        program()
    assert capsys.readouterr().err == "error: rank 2: data.root=x: is not there\n"


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("number", [0, 1, 4, 7])
def test_all_processes_together_have_each_item_once(count, number):
    parts = [Shard(rank, count).of(range(number)) for rank in range(count)]
    assert sorted(item for part in parts for item in part) == list(range(number))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1

import pytest
from omegaconf import OmegaConf

from hydra_plugins.listed_jobs import ListedJobs


@pytest.mark.parametrize(
    "jobs",
    [
        [["model=multi"], ["model=single", "seed=1"]],
        OmegaConf.create([["model=multi"], ["model=single", "seed=1"]]),
        "[[model=multi], [model=single, seed=1]]",  # as a command line gives it
    ],
)
def test_jobs_from_a_file_and_from_a_command_line(jobs):
    assert ListedJobs(jobs).jobs == [["model=multi"], ["model=single", "seed=1"]]


@pytest.mark.parametrize(
    "jobs", ["model=multi", "[model=multi]", ["model=multi"], "7", "[5]", "[", []]
)
def test_what_is_no_list_of_lists_is_refused(jobs):
    with pytest.raises(ValueError, match=r"hydra\.sweeper\.jobs="):
        ListedJobs(jobs)

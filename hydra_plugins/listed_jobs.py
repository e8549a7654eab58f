"""Hydra sweeper over a list of jobs, for experiments that are no full grid."""

import itertools
from collections.abc import Sequence
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ListedJobs(Sweeper):
    """Runs each job of a list with every combination of the values swept on the command line.

    Hydra finds it by the name of its package. All jobs run before the first error is raised.

    Args:
        jobs: Overrides of each job, such as ``[[model=multi], [model=single, seed=1]]``; text when
            given on a command line.

    Raises:
        ValueError: `jobs` is no list of lists.
    """

    def __init__(self, jobs: Sequence[Sequence[str]] | str) -> None:
        try:
            listed = yaml.safe_load(jobs) if isinstance(jobs, str) else jobs
        except yaml.YAMLError:
            listed = None
        if not _is_list(listed) or not listed or not all(_is_list(job) for job in listed):
            raise ValueError(
                f"hydra.sweeper.jobs={jobs}: give a list of jobs, as [[model=multi],[seed=1]]"
            )
        self.jobs = [[str(one) for one in job] for job in listed]
        self.launcher: Launcher | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep the context, the config and the launcher; Hydra calls this once."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs, each with the overrides of the command line."""
        assert self.launcher is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(self.hydra_context.config_loader)
        choices = [
            [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
            if one.is_sweep_override()
            else [one.input_line or ""]
            for one in parser.parse_overrides(arguments)
        ]
        given = [list(combination) for combination in itertools.product(*choices)]
        batch = [[*combination, *job] for combination in given for job in self.jobs]
        self.validate_batch_is_legal(batch)
        results = self.launcher.launch(batch, initial_job_idx=0)
        return [result.return_value for result in results]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)

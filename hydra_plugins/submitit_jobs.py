"""Hydra launchers that run the jobs of a sweep by submitit: on SLURM or on this machine."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from pin_lightning.cli.failures import read_failure, write_failure

log = logging.getLogger(__name__)


class SubmititJobs(Launcher):
    """Launcher of hydra-submitit-launcher that survives lost jobs; its settings are in `conf`.

    The original stops waiting at the first job without a result, such as one that ran out of time,
    and never closes the sweep.
    """

    cluster: ClassVar[str]

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Prepare the jobs; Hydra calls this once."""
        # An optional package
        from hydra_plugins.hydra_submitit_launcher import submitit_launcher as plugin

        made = {"slurm": plugin.SlurmLauncher, "local": plugin.LocalLauncher}[self.cluster]
        self.job = made(**self.settings)  # sent to the node, and called there
        self.job.setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.sweep_dir = Path(config.hydra.sweep.dir)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Send jobs and wait for all of them.

        Raises:
            ValueError: They cannot be sent; the message gives the reason.
        """
        numbers = range(initial_job_idx, initial_job_idx + len(job_overrides))
        state = Singleton.get_state()
        sent = [
            (list(overrides), "hydra.sweep.dir", number, f"job_id_for_{number}", state)
            for number, overrides in zip(numbers, job_overrides, strict=True)
        ]
        try:
            jobs = self._executor().map_array(self.job, *zip(*sent, strict=True))
        except (RuntimeError, OSError) as error:  # no SLURM here, or it takes no such job
            reason = " ".join(str(error).split())
            raise ValueError(f"hydra/launcher=submitit_{self.cluster}: {reason}") from error
        for job, number, overrides in zip(jobs, numbers, job_overrides, strict=True):
            shown = " ".join(filter_overrides(overrides))
            log.info("job %d is %s of %s: %s", number, job.job_id, self.cluster, shown)
        return [self._result(*one) for one in zip(jobs, numbers, job_overrides, strict=True)]

    def _executor(self) -> Any:
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        shared = OmegaConf.structured(BaseQueueConf)
        own: dict[str, Any] = {}
        for key, value in self.settings.items():
            name = key if key in shared else f"{self.cluster}_{key}"
            own[name] = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        again = f"{self.cluster}_max_num_timeout"
        first = {again: own.pop(again)} if again in own else {}
        executor = submitit.AutoExecutor(own.pop("submitit_folder"), cluster=self.cluster, **first)
        executor.update_parameters(**own)
        return executor

    def _result(self, job: Any, number: int, overrides: Sequence[str]) -> JobReturn:
        """Wait for a job; a lost one returns no value, like a failed one."""
        from submitit.core.utils import FailedJobError, UncompletedJobError

        folder = self.sweep_dir / str(number)
        try:
            returned: JobReturn = job.results()[0]
        except (FailedJobError, UncompletedJobError):
            reason = f"job {job.job_id} of {self.cluster} left no result (state {job.state})"
            write_failure(folder, overrides, f"{reason}; look at {job.paths.stderr}")
            returned = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
        failure = read_failure(folder)
        log.info("job %d: %s", number, "finished" if failure is None else failure.mistake)
        return returned


class LocalJobs(SubmititJobs):
    """All jobs at once on this machine."""

    cluster = "local"


class SlurmJobs(SubmititJobs):
    """An array of jobs for SLURM."""

    cluster = "slurm"

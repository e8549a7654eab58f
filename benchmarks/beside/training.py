"""Each fold trained and tested by ``train.py`` in a process of its own, which is measured."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from processes import Ended, run_measured

from beside.plan import Method, Network
from pin_lightning.common.files import write_json
from pin_lightning.runs.folder import CONFIG, LAST_CHECKPOINT
from pin_lightning.runs.folds import is_finished

log = logging.getLogger(__name__)
MEASURED, OUTPUT = "measured.json", "output.log"  # in the run folder


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Attributes:
        settings: Its settings.
        training_seconds: From the data that were read to the last checkpoint.
        peak_gb: Peak resident memory of the whole process.
    """

    settings: list[str]
    training_seconds: float
    peak_gb: float


def read_cost(run_dir: Path) -> Cost | None:
    """What a run took; None where it is not finished, or was not measured to its end."""
    path = run_dir / MEASURED
    if not path.is_file() or not is_finished(run_dir):
        return None
    return Cost(**json.loads(path.read_text("utf-8")))


def train_all(methods: Sequence[Method], minutes: float | None) -> Iterator[str]:
    """Train what is not finished; a run that was cut off begins anew, so that it is measured whole.

    Args:
        methods: What is compared.
        minutes: Longest time of a run; null is no limit.

    Yields:
        A line for each run that failed, at once.

    Raises:
        ValueError: A finished run had other settings.
    """
    networks = [network for one in methods for network in one.networks]
    jobs = [(network, fold) for network in networks for fold in range(network.folds)]
    for network, fold in jobs:
        _check_same(network, fold)
    for number, (network, fold) in enumerate(jobs, 1):
        run_dir = network.run_dir(fold)
        if read_cost(run_dir) is None:
            log.info("%d of %d: %s", number, len(jobs), run_dir)
            yield from _train(network, fold, minutes)


def _check_same(network: Network, fold: int) -> None:
    run_dir = network.run_dir(fold)
    cost = read_cost(run_dir)
    if cost is not None and cost.settings != network.settings_of(fold):
        raise ValueError(
            f"output: {run_dir} was trained with {' '.join(cost.settings)}; give the same "
            f"settings, or another folder"
        )


def _train(network: Network, fold: int, minutes: float | None) -> Iterator[str]:
    run_dir, settings = network.run_dir(fold), network.settings_of(fold)
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / MEASURED).unlink(missing_ok=True)
    names = [f"run_name={run_dir.name}", f"run_dir={run_dir}", "report.pictures=false"]
    path = run_dir / OUTPUT
    with path.open("w", encoding="utf-8") as output:
        ended = run_measured("train.py", *names, *settings, minutes=minutes, output=output)
    if ended.code or not is_finished(run_dir):
        yield f"{run_dir}: {reason(ended, minutes, path)}"
        return
    # The config is written when the data have been read, the checkpoint when the training ends.
    began, trained = ((run_dir / one).stat().st_mtime for one in (CONFIG, LAST_CHECKPOINT))
    write_json(run_dir / MEASURED, asdict(Cost(settings, trained - began, ended.peak_gb)))


def reason(ended: Ended, minutes: float | None, path: Path) -> str:
    """Why a process did not do its work, in one line.

    Args:
        ended: How it ended.
        minutes: Its longest time.
        path: What it printed.
    """
    if ended.stopped:
        return f"stopped after {minutes:g} minutes; give more, minutes=null is no limit"
    lines = path.read_text("utf-8", errors="replace").split("\n")
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    last = said or [line.strip() for line in lines if line.strip()] or [f"look at {path}"]
    return f"{last[-1]} (exit code {ended.code})"

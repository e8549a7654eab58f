"""Numbers of a model card, from the files of the run and of what it was evaluated on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pin_lightning.reports.pages.run_facts import RunFacts, read_run_facts, seen_before
from pin_lightning.runs.folder import RunRecord


@dataclass(frozen=True, eq=False)
class CardNumbers:
    """Numbers of a model card.

    Attributes:
        cases: What the model was trained on, in words.
        measured: On which cases errors were measured, in words; None if on none.
        metrics: Contents of `metrics.json` of these cases.
    """

    cases: str
    measured: str | None
    metrics: Mapping[str, Any]


def read_numbers(run: Path, evaluation: str | None, names: Sequence[str]) -> CardNumbers:
    """Read the numbers of a run, and its errors from where they are.

    Args:
        run: Folder of the run, or of a cross-validation.
        evaluation: Folder of another cross-validation, or of an evaluation; None takes the run's.
        names: Landmarks of the run.

    Raises:
        ValueError: A file is absent or damaged, or the evaluation is of another run.
    """
    own = read_run_facts(run)
    facts = own if evaluation is None else _other(Path(evaluation), run, names)
    cases, part = _cases(own), facts.part
    if part is None or part not in facts.metrics:
        return CardNumbers(cases, None, {})
    return CardNumbers(cases, _measured(facts, part, facts is own), facts.metrics[part])


def _other(evaluation: Path, run: Path, names: Sequence[str]) -> RunFacts:
    if not evaluation.is_dir():
        raise ValueError(f"evaluation={evaluation}: is no folder; give one of an evaluation")
    facts, own = read_run_facts(evaluation), run.resolve().name
    of = facts.setting("evaluated_run")
    if of is not None and of != own:
        raise ValueError(f"evaluation={evaluation}: is of the run {of}, not of {own}; give its own")
    if of is None and not facts.folds:
        raise ValueError(
            f"evaluation={evaluation}: is another run; give a cross-validation, or a folder of "
            f"pin-lightning evaluate"
        )
    if facts.records[0].names != tuple(names):
        raise ValueError(f"evaluation={evaluation}: is of other landmarks; give one of the same")
    if facts.part is None:
        raise ValueError(f"evaluation={evaluation}: has no errors; give another")
    return facts


def _cases(run: RunFacts) -> str:
    if run.folds:
        everyone = {name for record in run.records for name in _all(record)}
        trained = sorted({len(record.split.train) for record in run.records})
        of = " to ".join(map(str, trained[:1] + trained[1:][-1:]))
        return f"{len(everyone)}; {len(run.folds)} networks, each trained on {of} of them"
    split = run.records[0].split
    counts = [f"{len(split.train)} in training"]
    if split.val:
        counts.append(f"{len(split.val)} in validation, which chooses the weights")
    return "; ".join([*counts, f"{len(split.test)} held out"])


def _all(record: RunRecord) -> tuple[str, ...]:
    return (*record.split.train, *record.split.val, *record.split.test)


def _measured(facts: RunFacts, part: str, is_own: bool) -> str:
    count = facts.metrics[part]["num_cases"]
    if facts.folds:
        words = (
            f"Cross-validation: each of {count} cases was predicted by a network that was not "
            f"trained on it"
        )
        if is_own:
            return f"{words}. The mean of all networks, which this model predicts, was not measured"
        return f"{words}. This model is another one, made alike; it was not measured itself"
    if facts.setting("evaluated_run") is not None:
        again = len(seen_before(facts))
        same = f", of which {again} have names of cases that trained or chose it" if again else ""
        return f"{count} annotated cases after the training{same}"
    if part == "val":
        return (
            f"The {count} validation cases. They chose the weights: expect more of other cases, "
            f"and nothing else was held out"
        )
    return f"{count} cases that were held out of the training"

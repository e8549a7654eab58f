"""The first stage of a cascade: another run, whose landmarks are the starts of this one."""

from pathlib import Path

from omegaconf import DictConfig

from pin_lightning.runs.folder import RunRecord, best_checkpoint, difference, read_record
from pin_lightning.runs.folds import fold_folder, is_folds_folder


def first_stage_folder(config: DictConfig) -> Path | None:
    """Return the run folder of the first stage, if any; of folds, the fold that is trained."""
    if config.first_stage is None:
        return None
    folder, fold = Path(config.first_stage), config.data.split.fold
    if not is_folds_folder(folder):
        return folder
    if fold is None:
        raise ValueError(
            f"first_stage={folder}: is the folder of a cross-validation; "
            f"give one of its folds, or train folds (data.split.folds)"
        )
    return fold_folder(folder, fold)


def check_first_stage(folder: Path, record: RunRecord) -> None:
    """Check without reading weights that a run with this record can build on a first stage.

    Raises:
        ValueError: The folder is damaged, its landmarks or its working grid differ, or it was
            trained on cases that the run is to be measured on.
    """
    before = read_record(folder)
    if (found := difference(before, record)) is not None:
        what, there, here = found
        raise ValueError(
            f"first_stage={folder}: its {what} ({there}) differ from those of this run "
            f"({here}); give a run of the same"
        )
    own, others = record.split, before.split
    seen = {*own.test} & {*others.train, *others.val} | {*own.val} & {*others.train}
    if seen:
        raise ValueError(
            f"first_stage={folder}: {', '.join(sorted(seen))} trained or validated it and would be "
            f"measured on here; give a run with the same data.split"
        )
    best_checkpoint(folder)

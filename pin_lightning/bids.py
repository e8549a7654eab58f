"""Predict a BIDS data set: ``python -m pin_lightning.bids BIDS_DIR OUTPUT_DIR participant``."""

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pin_lightning.cli.program import in_order
from pin_lightning.distributed.process import importing

# The form of Hydra's programs.
MESSAGES = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="pin-lightning bids",
        description="Find the landmarks of the anatomical images of a BIDS data set, and write "
        "them as BIDS derivatives. The same command again does only what is not done.",
    )
    add = parser.add_argument
    add("root", metavar="BIDS_DIR", type=Path, help="folder of the data set")
    add("output", metavar="OUTPUT_DIR", type=Path, help="folder of the derivatives")
    levels = "participant predicts; group makes the tables and the page of all participants"
    add("level", choices=("participant", "group"), help=levels)
    add("-v", "--version", action="version", version=f"pin-lightning {version('pin-lightning')}")
    run = "folder of a training or cross-validation, file of pack, or name of a ready model; "
    run += "the participant level needs it"
    add("--run", metavar="RUN", help=run)
    some = parser.add_argument_group("images")
    labels = "participants, with or without sub-"
    names = ["--participant-label", "--participant_label"]
    some.add_argument(*names, metavar="LABEL", nargs="+", help=labels)
    labels = "sessions, with or without ses-"
    names = ["--session-label", "--session_label"]
    some.add_argument(*names, metavar="LABEL", nargs="+", help=labels)
    suffixes = "suffixes of images (default: T1w, T2w and data.suffix of the run)"
    some.add_argument("--filter", metavar="SUFFIX", nargs="+", help=suffixes)
    names = ["--skip-bids-validation", "--skip_bids_validation", "--skip_bids_validator"]
    skip = "do not look whether BIDS_DIR has the description of a BIDS data set"
    some.add_argument(*names, dest="skip_validation", action="store_true", help=skip)
    work = parser.add_argument_group("prediction")
    work.add_argument("--device", help="auto (default), cpu, cuda, cuda:1, mps")
    starts = "starts that are averaged; else as in training"
    work.add_argument("--num-starts", metavar="N", type=int, help=starts)
    batch = "images that are localised together (default: 4)"
    work.add_argument("--batch-size", metavar="N", type=int, help=batch)
    readers = "threads that read the next images meanwhile (default: 2)"
    work.add_argument("--readers", metavar="N", type=int, help=readers)
    review = "radius from which a landmark is marked for review"
    work.add_argument("--review-above-mm", metavar="MM", type=float, help=review)
    page = "images on review.html (default: 50)"
    work.add_argument("--review-page", metavar="N", type=int, default=50, help=page)
    anew = "do anew what is done, and remove what is there of another run or other settings"
    work.add_argument("--overwrite", action="store_true", help=anew)
    retry = "try again what could not be predicted"
    work.add_argument("--retry-failed", action="store_true", help=retry)
    trust = "import classes that the run names and that are not part of this program"
    work.add_argument("--trust-run", action="store_true", help=trust)
    return parser.parse_args(given)


@in_order
def main(given: Sequence[str] | None = None) -> None:
    """Run a level; exit code 2 on bad input, or if an image is not predicted."""
    asked = arguments(given)
    # Heavy imports, after the arguments
    import logging
    import sys

    from pin_lightning.cli.streams import keep_writing
    from pin_lightning.cli.tasks import one_line_errors

    keep_writing()
    logging.raiseExceptions = False  # a full disk would print a traceback for each log line
    logging.basicConfig(level=logging.INFO, format=MESSAGES, stream=sys.stdout)
    if not one_line_errors(_run)(asked):
        raise SystemExit(2)


def _run(asked: argparse.Namespace) -> bool:
    with importing():
        from pin_lightning.common.settings import check_count
        from pin_lightning.inference.bids.app import Asked, group_level, participant_level

    check_count("--review-page", asked.review_page, least=0)
    same = ("run", "device", "num_starts", "batch_size", "readers", "review_above_mm")
    settings = {name: getattr(asked, name) for name in (*same, "overwrite", "trust_run")}
    chosen = Asked(
        root=asked.root,
        output=asked.output,
        participants=asked.participant_label,
        sessions=asked.session_label,
        suffixes=asked.filter,
        skip_validation=asked.skip_validation,
        review_page=asked.review_page,
        settings={**settings, "retry": "failed" if asked.retry_failed else None},
    )
    if asked.level == "group":
        return group_level(chosen)
    if asked.run is None:
        raise ValueError("--run: is not given; give the folder of a training")
    return participant_level(chosen)


if __name__ == "__main__":
    main()

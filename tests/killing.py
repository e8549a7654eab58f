"""Programs killed at random moments: ``python tests/killing.py [PROGRAM...] kills=100``.

Each is run to its end once. Then it is started by the same command again and again, and killed at a
random moment, until it comes to its end: what it leaves must be the same, bit for bit. That is
repeated until it has been killed so many times. The table says from how many different steps a
training went on.
"""

import csv
import fnmatch
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LONGEST = 600  # seconds of a program that is not killed
AT_WORK = 0.9  # share of the kills that wait until it writes
SMALL = [
    *("model=shared", "pose=find", "data=folder", "data.spacing_mm=1.5", "report.pictures=false"),
    *("model.patch_side=9", "network.widths=[4,4,8,8]", "network.hidden=[16]"),
    *("loader.batch_size=4", "trainer.max_steps=80", "trainer.val_check_interval=20"),
    *("pose.patch_side=9", "pose.steps=40", "checkpoint.every_steps=1", "ckpt_path=last"),
    *("data.split.val_fraction=0.2", "report.bootstrap.resamples=100"),
]
WHOLE = "whole"  # folder of a program that was not killed
TIMES = "seconds"  # ends the names of columns that differ from run to run


@dataclass(frozen=True)
class Program:
    """A program that is killed.

    Attributes:
        command: Arguments that let it write into a folder.
        progress: How far it has come there.
        differences: In what two finished folders differ.
        marked: Whether a folder is known to be unfinished.
        written: Name of the files that show that it is at work.
        seconds: Longest time from the first of these to the kill.
    """

    command: Callable[[Path], Sequence[str]]
    progress: Callable[[Path], Hashable]
    differences: Callable[[Path, Path], Sequence[str]]
    marked: Callable[[Path], bool]
    written: str
    seconds: float


@dataclass
class Survived:
    """What became of a program that was killed again and again.

    Attributes:
        kills: How often.
        ends: How often it came to its end in between.
        places: How far it had come when it was killed.
        wrong: What went wrong.
    """

    kills: int = 0
    ends: int = 0
    places: set[Hashable] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def steps(run_dir: Path) -> Hashable:
    """Steps of every checkpoint that a training has saved."""
    from pin_lightning.runs.model import read_checkpoint

    saved = sorted(run_dir.rglob("last.ckpt"))
    return tuple(
        (str(one.relative_to(run_dir)), read_checkpoint(one)["global_step"]) for one in saved
    )


def trained_otherwise(first: Path, second: Path) -> list[str]:
    """Differences of the checkpoints, logs and tables of two runs, or folders of folds."""
    from training.callbacks.test_checkpoints import check_same_end

    found = files_otherwise(first, second) + tables_otherwise(first, second)
    for name in sorted(one.parent.parent.relative_to(first) for one in first.rglob("last.ckpt")):
        try:
            check_same_end(second / name, first / name)
        except (AssertionError, ValueError, OSError) as error:
            found.append(f"{name}: other checkpoints or logs {error}")
    return found


def files_otherwise(first: Path, second: Path) -> list[str]:
    """Files that only one of two folders has, temporary ones of killed processes among them."""
    names = [
        {str(one.relative_to(folder)) for one in folder.rglob("*")} for folder in (first, second)
    ]
    return [f"only in one folder: {one}" for one in sorted(names[0] ^ names[1])]


def tables_otherwise(first: Path, second: Path) -> list[str]:
    """Tables and landmark files whose contents differ, but for times."""
    found = []
    for pattern in ("predictions.csv", "poses.csv", "landmarks.csv", "*.mrk.json"):
        for path in sorted(first.rglob(pattern)):
            name = path.relative_to(first)
            read = _rows if path.suffix == ".csv" else Path.read_bytes
            if not (second / name).is_file() or read(path) != read(second / name):
                found.append(str(name))
    return found


def predicted_otherwise(first: Path, second: Path) -> list[str]:
    """Differences of two predictions."""
    return files_otherwise(first, second) + tables_otherwise(first, second)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {k: v for k, v in row.items() if not k.endswith(TIMES)} for row in csv.DictReader(file)
        ]


def is_in_training(folder: Path) -> bool:
    """Whether a run, or a folder of folds, is not done."""
    return any(folder.rglob("unfinished")) or not (folder / "predictions.csv").is_file()


def is_in_prediction(folder: Path) -> bool:
    """Whether a prediction is not done: its page is written last."""
    return not (folder / "review.html").is_file()


def predicted(folder: Path) -> Hashable:
    """Files that a prediction has written."""
    return tuple(sorted(one.name for one in folder.glob("*.mrk.json")))


def programs(place: Path) -> dict[str, Program]:
    """All programs, with data in a folder. The run that predicts is that of the first, unkilled."""
    from ball_scans import write_ball_scans

    root = write_ball_scans(place / "balls", 10)
    run = own_folder(place, "train, resident") / WHOLE
    data = [f"data.root={root}", f"data.cache_dir={place / 'cache'}"]

    def training(program: Sequence[str], *own: str) -> Program:
        return Program(
            lambda folder: [*program, *SMALL, *data, *own, f"run_dir={folder}"],
            steps,
            trained_otherwise,
            is_in_training,
            "last.ckpt",
            4.0,
        )

    resident = training(["train.py"], "loader=resident")
    queue = ("loader=queue", "loader.samples_per_volume=8", "loader.queue_length=24")
    folds = ("data.split.folds=2", "calibration.coverage=null", "pose.calibration_folds=0")

    def predicting(folder: Path) -> list[str]:
        if not run.is_dir():
            finish(resident, run)
        return ["infer.py", f"run={run}", f"input={root / 'images'}", f"output={folder}"]

    return {
        "train, resident": resident,
        "train, queue": training(["train.py"], *queue),
        "cross_validate": training(["-m", "pin_lightning.cross_validate"], *folds),
        "infer": Program(
            predicting, predicted, predicted_otherwise, is_in_prediction, "prediction.json", 8.0
        ),
    }


def own_folder(place: Path, name: str) -> Path:
    """Folder of what one program writes."""
    return place / name.replace(", ", "_")


def start(program: Program, folder: Path) -> subprocess.Popen[bytes]:
    """A process group, whose messages go to a file beside the folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return begin(program.command(folder), folder.parent / "said.txt")


def begin(command: Sequence[str], path: Path) -> subprocess.Popen[bytes]:
    """A process group of a command of Python, whose messages go to a file."""
    with path.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finish(program: Program, folder: Path) -> None:
    """Run to the end.

    Raises:
        RuntimeError: It fails.
    """
    ended(start(program, folder), folder, LONGEST)


def ended(process: subprocess.Popen[bytes], folder: Path, seconds: float) -> bool:
    """Whether a process ends well within some seconds.

    Raises:
        RuntimeError: It ends with an error.
    """
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    if process.returncode != 0:
        said = (folder.parent / "said.txt").read_text("utf-8")
        raise RuntimeError(f"ended with {process.returncode}: {said[-2000:]}")
    return True


def killed(program: Program, folder: Path, draw: random.Random) -> bool:
    """Start, and kill at a random moment, mostly when it is at work; False if it ended before.

    Raises:
        RuntimeError: It ended with an error.
    """
    began = time.time()
    process = start(program, folder)
    is_waiting = draw.random() < AT_WORK
    while is_waiting and time.time() < began + LONGEST and process.poll() is None:
        is_waiting = not any(_made(one) > began for one in _found(folder, program.written))
        time.sleep(0.01)
    if ended(process, folder, program.seconds * draw.random()):
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def _found(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder, of which sub-folders may go away meanwhile (`rglob` then fails)."""
    return [
        Path(where, one)
        for where, _, names in os.walk(folder)
        for one in fnmatch.filter(names, pattern)
    ]


def _made(path: Path) -> float:
    """When a file was written; long ago if it is being replaced."""
    return path.stat().st_mtime if path.is_file() else 0.0


def kill_again_and_again(
    program: Program, place: Path, kills: int, draw: random.Random
) -> Survived:
    """Kill a program so many times, and compare whenever it comes to its end, and in the end."""
    whole, folder, survived = place / WHOLE, place / "cut", Survived()
    try:
        if not whole.is_dir():
            finish(program, whole)
        while survived.kills < kills and not survived.wrong:
            if killed(program, folder, draw):
                survived.kills += 1
                survived.places.add(program.progress(folder))
                if folder.exists() and not program.marked(folder):  # killed when all was done
                    survived.wrong += program.differences(whole, folder)
            else:
                survived.ends += 1
                survived.wrong += program.differences(whole, folder)
                shutil.rmtree(folder)
        finish(program, folder)
        survived.wrong += program.differences(whole, folder)
        if program.marked(folder):
            survived.wrong.append("marked as unfinished")
    except RuntimeError as error:
        survived.wrong.append(str(error))
    return survived


def main() -> None:
    """Kill all programs, or those that are named."""
    given = dict(one.split("=", 1) for one in sys.argv[1:] if "=" in one)
    kills, draw = int(given.get("kills", 100)), random.Random(int(given.get("seed", 0)))
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        known = programs(place)
        for name in [one for one in sys.argv[1:] if "=" not in one] or list(known):
            began = time.monotonic()
            done = kill_again_and_again(known[name], own_folder(place, name), kills, draw)
            print(
                f"{name}: {done.kills} kills, {done.ends} ends, {len(done.places)} different "
                f"places, {len(done.wrong)} wrong, {time.monotonic() - began:.0f} s",
                flush=True,
            )
            for one in done.wrong:
                print(f"  {one}", flush=True)


if __name__ == "__main__":
    main()

"""Stand-in for a command of the documentation: ``documented_command.py NAME ARGUMENT...``.

A copy of it stands on the path as ``python``, ``make`` and so on. It runs what the documentation
says with the interpreter of the tests and short settings, only composes the config where hardware
is not there, and writes a line for each command to a log.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("python", "make", "pin-lightning", "torchrun", "srun")
# What a test does not do: it installs nothing, needs no account, and runs no test in a test.
SKIPPED = {"pip", "uv", "git", "docker", "wandb", "scontrol", "sbatch", "bids-validator-deno"}
SKIPPED |= {"kubectl", "snakemake", "nextflow", "parallel"}  # test_engines.py has these
SKIPPED |= {"curl", "jq"}  # no server runs; tests/annotation sends what they would
SEARCHED = re.compile(r"=(interval|tag|choice|range)\(")  # values of a sweeper alone
TARGETS = {"install", "demo", "help"}  # of make; the others test, time and install
COMPOSED = {
    r"(trainer\.)?devices=[2-9]": "several devices",
    r"trainer\.num_nodes=": "several machines",
    r"hydra/launcher=submitit": "SLURM",
    r"experiment=(paper|\w+_paper)": "a graphics card",
    r"experiment=(table1|table2|alpha|bending|related|tune)": "hours",
}
NOT_RUN = ("benchmarks/", "tests/", "examples/engines/")
NO_CONFIG = ("bids", "compare", "examples/onnx_landmarks", "-c")
TRAINING = ("train", "cross_validate")
SHORT = ("trainer.max_steps=2", "trainer.val_check_interval=2", "loader.batch_size=4")
SHORT += ("pose.steps=2", "pose.patch_side=9", "pose.calibration_folds=0", "model.num_starts=2")
SHORT += ("data.spacing_mm=4", "report.pictures=false")
SMALL = ("data.source.size=[54,35,47]", "data.source.spacing_mm=[3,3,3]")


def short(program: str, arguments: list[str]) -> list[str]:
    """Arguments of a program with settings by which it takes seconds.

    Two sets of phantoms that differ in the number of heads still do.
    """
    if "--help" in arguments or "--cfg" in arguments:
        return arguments
    if "-m" in arguments:
        arguments = two_jobs(arguments)
        if "hydra/sweeper=optuna" in arguments:
            arguments = [*arguments, "hydra.sweeper.n_trials=2"]
    if program in TRAINING:
        arguments = [*arguments, *SHORT]
    if program == "cross_validate":
        arguments = [*arguments, "data.split.folds=2"]
    if program in (*TRAINING, "check") and not any(
        one.startswith("data.root=") for one in arguments
    ):
        arguments = [*arguments, *SMALL, f"data.source.num_cases={20 + heads(arguments) // 30}"]
    return arguments


def heads(arguments: list[str]) -> int:
    """The number of phantoms that a command line asks for."""
    experiments = [one.split("=")[1] for one in arguments if one.startswith("experiment=")]
    files = [f"conf/experiment/{one}.yaml" for one in experiments] + ["conf/data/phantom.yaml"]
    texts = [Path(one).read_text("utf-8") for one in files]
    return next(int(found[1]) for text in texts if (found := re.search(r"num_cases: (\d+)", text)))


def two_jobs(arguments: list[str], most: int = 2) -> list[str]:
    """A sweep with the first two values of the first setting, and the first one of each other."""
    kept = []
    for one in arguments:
        key, _, value = one.partition("=")
        if "," in value and not re.search(r"[\[({']", value):
            value, most = ",".join(value.split(",")[:most]), 1
        kept.append(f"{key}={value}" if value else one)
    return kept


def composing(arguments: list[str]) -> list[str]:
    """Arguments that print the config of the first job."""
    job = [one for one in arguments if one != "-m" and not SEARCHED.search(one)]
    return [*two_jobs(job, 1), "--cfg", "job"]


def provide(arguments: list[str], samples: Path) -> None:
    """Make what placeholders of the documentation stand for, where no command has made it yet."""
    for one in arguments:
        key, _, value = one.partition("=")
        path = Path(value or key)
        if key == "run_dir" and value.isupper() and path.exists():
            shutil.rmtree(path)  # the same placeholder for another folder
        if key == "input":
            path = Path(*[part for part in path.parts if "*" not in part])
        if path.exists():
            continue
        if key == "data.root":
            shutil.copytree(samples / "data", path)
        elif key == "BIDS_DIR":
            from bids_data import write_bids

            write_bids(path)
        elif key == "OUTPUT_DIR":
            continue
        elif key == "run" or one.isupper():
            shutil.copytree(samples / "run", path)
        elif key == "input":
            shutil.copytree(samples / "data" / "images", path)
        elif key.startswith("report.others."):
            shutil.copy(samples / "run" / "predictions.csv", path)
        elif one.endswith(".nii.gz"):
            shutil.copy(next((samples / "data" / "images").iterdir()), path)


def program_of(arguments: list[str]) -> tuple[str, int]:
    """Name of the program that Python is told to run, and how many arguments name it."""
    if arguments[:2] == ["-m", "pin_lightning"]:
        return arguments[2].replace("-", "_"), 3
    if arguments[0] == "-m":
        return arguments[1].removeprefix("pin_lightning."), 2
    return arguments[0].removesuffix(".py"), 1


def main(name: str, arguments: list[str]) -> int:
    """Do what a command stands for, and log it."""
    given = [name, *arguments]
    arguments = [one for one in arguments if one != "..."]
    if name == "make" and not TARGETS.issuperset(arguments):
        return log(given, "skipped")
    if name == "make":
        return log(given, "ran", [os.environ["REAL_MAKE"], *arguments])
    if name in SKIPPED or arguments[0].startswith(NOT_RUN):
        return log(given, "skipped")
    if name == "pin-lightning":
        arguments = ["-m", "pin_lightning", *arguments]
    elif name in ("torchrun", "srun"):
        arguments = arguments[next(i for i, one in enumerate(arguments) if one.endswith(".py")) :]
    if arguments[0] == "-c":
        return log(given, "ran", [sys.executable, *arguments])
    program, length = program_of(arguments)
    start, settings = [sys.executable, *arguments[:length]], arguments[length:]
    if "ONLY_COMPOSE" in os.environ and program in NO_CONFIG:
        return log(given, "composed", [*start, "--help"])
    alone = (
        "ONLY_COMPOSE" in os.environ
        or name in ("torchrun", "srun")
        or any(re.fullmatch(f"{pattern}.*", one) for pattern in COMPOSED for one in settings)
    )
    if alone:
        return log(given, "composed", [*start, *composing(settings)])
    provide(settings, Path(os.environ["SAMPLES"]))
    return log(given, "ran", [*start, *short(program, settings)])


def log(given: list[str], what: str, command: list[str] | None = None) -> int:
    """Run a command, if there is one, and write down what came of it."""
    code, first = 0, ""
    if command is not None:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        code, first = done.returncode, done.stdout.split("\n")[0]
        sys.stdout.write(done.stdout)
        sys.stdout.write(done.stderr)
    with Path(os.environ["COMMANDS"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"given": given, "what": what, "code": code, "first": first}) + "\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))

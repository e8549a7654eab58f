"""The process of a job that may be any function, given by its dotted name."""

import sys
from pathlib import Path

from pin_lightning.cli import job_process


class Anything(dict):
    def __missing__(self, name):
        return name, name


if __name__ == "__main__":
    job_process.JOBS = Anything()
    job_process.main(Path(sys.argv[1]))

"""Predict a stream of scans by workers of Dask: each loads the run once, results come when done.

    python dask_predict.py RUN OUTPUT 'scans/*.nii.gz' --workers 8
    find scans -name '*.nii.gz' | python dask_predict.py RUN OUTPUT - --scheduler tcp://HOST:8786

What has a point list in OUTPUT is left alone, so the same command goes on, and tries again what has
failed. Each scan needs a name of its own. The exit code is 2 if one could not be predicted.
"""

import argparse
import glob
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from dask.distributed import Client, WorkerPlugin, as_completed, get_worker

from pin_lightning import LandmarkSet, Predictor, write_landmarks


class Loaded(WorkerPlugin):
    """The run, loaded when a worker starts, also one that starts later or again."""

    def __init__(self, run: str) -> None:
        self.run = run

    def setup(self, worker) -> None:
        """Load it, in the worker."""
        worker.predictor = Predictor.load(self.run)


def fetch(scan: str) -> str:
    """Give the file of a scan, on the worker: a download, say. Here a scan is a file."""
    return scan


def predict(scan: str) -> LandmarkSet | ValueError:
    """Predict a scan, on the worker; only its landmarks, or what is wrong with it, travel back."""
    try:
        return get_worker().predictor.predict(fetch(scan)).landmarks
    except ValueError as error:
        return error


def results(
    client: Client, scans: Iterable[str], in_flight: int
) -> Iterator[tuple[str, LandmarkSet | BaseException]]:
    """Yield each scan with its landmarks or its error, in the order in which they are done.

    Of a stream without end, no more than `in_flight` scans are taken beyond those yielded.
    """
    waiting, scan_of = iter(scans), {}

    def submit(scan: str):
        future = client.submit(predict, scan, pure=False)  # the file may be another by now
        scan_of[future.key] = scan
        return future

    at_work = as_completed([submit(one) for one in islice(waiting, in_flight)])
    for future in at_work:
        error = future.exception()  # such as of a scan that ends its worker again and again
        yield scan_of.pop(future.key), future.result() if error is None else error
        future.release()
        for one in islice(waiting, 1):
            at_work.add(submit(one))


def file_of(output: Path, scan: str) -> Path:
    """Point list of a scan."""
    return output / f"{Path(scan).name.removesuffix('.gz').removesuffix('.nii')}.mrk.json"


def main() -> int:
    """Write a point list for each scan; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("output", type=Path)
    parser.add_argument("scans", help="pattern, or - for paths on the standard input")
    parser.add_argument("--workers", type=int, default=2, help="here, or of the cluster")
    parser.add_argument("--scheduler", help="address of a cluster, instead of this machine")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    paths = map(str.strip, sys.stdin) if given.scans == "-" else glob.iglob(given.scans)
    scans = (one for one in paths if not file_of(given.output, one).exists())
    failed = 0
    # A worker predicts one scan at a time, and by default takes one core for it.
    local = {} if given.scheduler else {"n_workers": given.workers, "threads_per_worker": 1}
    with Client(given.scheduler, **local) as client:
        client.register_plugin(Loaded(given.run))
        for scan, found in results(client, scans, 2 * given.workers):
            if isinstance(found, BaseException):
                failed += 1
                print(f"failed {scan}: {found}", file=sys.stderr, flush=True)
            else:
                write_landmarks(file_of(given.output, scan), found)
                print(f"predicted {scan}", flush=True)
    return 2 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

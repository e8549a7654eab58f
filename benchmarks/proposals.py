"""Landmarks proposed from a few annotated scans by registration: errors and times.

``python benchmarks/proposals.py data.root=DIR atlases=[1,3] cases=6 first=4``

The first scans by name are the atlases (`atlases` says how many), `cases` scans from number `first`
on are proposed for. Scans may lie in any orientation. Times are of one core if
``OMP_NUM_THREADS`` and ``ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS`` are 1.
"""

import sys
from time import perf_counter, process_time

import numpy as np
from omegaconf import OmegaConf

from pin_lightning.annotation.registration.atlas import Atlas, propose, read_atlas
from pin_lightning.data.cases import Case
from pin_lightning.data.sources.folder import find_cases

OWN = {"atlases": [1, 3], "cases": 6, "first": 4}


def proposed(case: Case, atlases: list[Atlas], names: tuple[str, ...]) -> np.ndarray:
    """Errors in mm of the proposals of a case [L]."""
    assert case.read is not None
    began, worked = perf_counter(), process_time()
    found = propose(case.image, atlases, names)
    seconds, busy = perf_counter() - began, process_time() - worked
    true = case.read().select(names).positions_world
    errors = np.asarray(np.linalg.norm(found.positions_world - true, axis=1))
    said = "uncertain" if found.uncertain else "sure"
    print(
        f"  {case.name}: mean {np.nanmean(errors):.3f} mm, median {np.nanmedian(errors):.3f}, "
        f"{said}, {seconds:.0f} s ({busy:.0f} s of one core)",
        flush=True,
    )
    return errors


def main() -> None:
    """Propose and print."""
    given = OmegaConf.from_cli(sys.argv[1:])
    root = OmegaConf.select(given, "data.root")
    own = {key: given.get(key, value) for key, value in OWN.items()}
    cases = find_cases(root)
    most = max(own["atlases"])
    if own["first"] < most or own["first"] >= len(cases):
        raise SystemExit(f"first={own['first']}: give {most} to {len(cases) - 1}")
    chosen = cases[own["first"] :][: own["cases"]]
    marks = [case.read() for case in cases[:most] if case.read is not None]
    names = marks[0].names
    for count in own["atlases"]:
        print(f"{count} annotated scans:")
        atlases = [
            read_atlas(case.image, landmarks, names)
            for case, landmarks in zip(cases[:count], marks, strict=False)
        ]
        errors = np.stack([proposed(case, atlases, names) for case in chosen])
        print(
            f"  all: mean {np.nanmean(errors):.3f} mm, median {np.nanmedian(errors):.3f}, "
            f"95th percentile {np.nanpercentile(errors, 95):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

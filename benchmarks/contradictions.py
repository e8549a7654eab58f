"""Wrong annotations put into the truth of a finished cross-validation: recall and false alarms.

``python benchmarks/contradictions.py RUN [exchanged=40] [shifted=40] [draws=20]``

Pairs of a landmark and one of its five nearest are exchanged, points shifted by 2 to 10 times the
usual error of their landmark. The networks were trained on the right annotations; where some of
those were wrong, too, give a cross-validation of such data: ``truth=RUN`` then names another one of
the same cases with the right ones, and nothing is put in.
"""

import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from pin_lightning.evaluation.contradictions import find_contradictions
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.runs.folder import PREDICTIONS

NEAREST = 5
FACTORS = (2, 3, 4, 6, 10)  # bounds of the shifts that are counted together
APART_MM = 1e-3


def put_in(
    right: Evaluation, exchanged: int, shifted: int, rng: np.random.Generator
) -> tuple[Evaluation, list[tuple[int, int, int]], list[tuple[int, int, float]]]:
    """The evaluation with wrong truths, the pairs as case and places, the shifts and factors."""
    truth, free = right.truth_world.copy(), right.defined.copy()
    usual_mm = np.nanmedian(right.errors_mm, axis=0)
    pairs: list[tuple[int, int, int]] = []
    while len(pairs) < exchanged:
        case, one = _drawn(free, rng)
        apart = np.linalg.norm(right.truth_world[case] - right.truth_world[case, one], axis=1)
        near = [place for place in np.argsort(apart)[1 : 1 + NEAREST] if free[case, place]]
        if near:
            other = int(rng.choice(near))
            truth[case, [one, other]] = right.truth_world[case, [other, one]]
            free[case, [one, other]] = False
            pairs.append((case, one, other))
    shifts: list[tuple[int, int, float]] = []
    for _ in range(shifted):
        case, one = _drawn(free, rng)
        factor = float(rng.uniform(FACTORS[0], FACTORS[-1]))
        way = rng.normal(size=3)
        truth[case, one] += factor * usual_mm[one] * way / np.linalg.norm(way)
        free[case, one] = False
        shifts.append((case, one, factor))
    return replace(right, truth_world=truth), pairs, shifts


def _drawn(free: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    case, place = rng.choice(np.argwhere(free))
    return int(case), int(place)


def put_in_before(right: Evaluation, wrong: Evaluation) -> np.ndarray:
    """Where the truths of two cross-validations differ [N, L]."""
    rows = [right.cases.index(case) for case in wrong.cases]
    apart = np.linalg.norm(right.truth_world[rows] - wrong.truth_world, axis=-1)
    return np.asarray(apart > APART_MM)


def named(evaluation: Evaluation) -> tuple[set[tuple[int, int]], set[tuple[int, frozenset[int]]]]:
    """Case and place of each named landmark, and the cycles that are called exchanged."""
    places, cycles = set(), set()
    for one in find_contradictions(evaluation):
        case = evaluation.cases.index(one.case)
        members = [evaluation.names.index(name) for name in one.landmarks]
        places |= {(case, place) for place in members}
        if one.kind == "exchanged":
            cycles.add((case, frozenset(members)))
    return places, cycles


def main() -> None:
    """Print what is found and what is named wrongly."""
    run = Path(sys.argv[1])
    given = {"exchanged": 40, "shifted": 40, "draws": 20, "truth": None}
    given |= dict(OmegaConf.from_cli(sys.argv[2:]))
    right = read_predictions(run / PREDICTIONS)["test"]
    known = int(right.defined.sum())
    if given["truth"] is not None:
        truth = read_predictions(Path(given["truth"]) / PREDICTIONS)["test"]
        wrong, (places, cycles) = put_in_before(truth, right), named(right)
        hits = sum(bool(wrong[one]) for one in places)
        print(f"{hits} of {int(wrong.sum())} wrong landmarks named, {len(cycles)} exchanges")
        print(f"{len(places) - hits} of {known - int(wrong.sum())} right ones named")
        return
    as_they_are = find_contradictions(right)
    print(f"as annotated, {known} landmarks: {len(as_they_are)} named")
    for one in as_they_are:
        print(f"  {one.case}: {one.message}")
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for draw in range(given["draws"]):
        rng = np.random.default_rng(draw)
        wrong_ones, pairs, shifts = put_in(right, given["exchanged"], given["shifted"], rng)
        places, cycles = named(wrong_ones)
        put = {(case, place) for case, *both in pairs for place in both}
        put |= {(case, place) for case, place, _ in shifts}
        for case, *both in pairs:
            _count(counts["exchanged pairs, as such"], (case, frozenset(both)) in cycles)
            _count(counts["exchanged pairs, at all"], any((case, one) in places for one in both))
        for case, place, factor in shifts:
            high = next(bound for bound in FACTORS if factor <= bound)
            low = FACTORS[FACTORS.index(high) - 1]
            _count(counts[f"shifted by {low} to {high} times"], (case, place) in places)
            _count(counts["shifted"], (case, place) in places)
        alarms = counts["right landmarks (false alarms)"]
        alarms[0] += len(places - put)
        alarms[1] += known - len(put)
    for name, (hit, of) in sorted(counts.items()):
        print(f"{name}: {hit} of {of} named, {100 * hit / of:.2f} %")


def _count(cell: list[int], hit: bool) -> None:
    cell[0] += hit
    cell[1] += 1


if __name__ == "__main__":
    main()

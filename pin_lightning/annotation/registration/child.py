"""The process that proposes: requests come as lines of JSON, answers go as lines of JSON.

It keeps the atlases that it has read, and ends when the server has ended, however that came.
"""

import json
import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from pin_lightning.annotation.registration.atlas import Atlas, predicted, propose, read_atlas
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.distributed.parent import lines_of_parent


def main() -> None:
    """Answer until the server has ended."""
    requests = lines_of_parent(os.fdopen(os.dup(0), "rb"))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries that print must not answer
    kept: dict[str, Atlas] = {}
    for line in requests:
        _say(answers, _answer(json.loads(line), kept))


def _answer(request: dict[str, Any], kept: dict[str, Atlas]) -> dict[str, Any]:
    try:
        names = tuple(request["names"])
        atlases = [_atlas(one, names, kept) for one in request["atlases"]]
        wanted = {_key(one, names) for one in request["atlases"]}
        for key in kept.keys() - wanted:
            del kept[key]
        proposal = propose(Path(request["path"]), atlases, names)
    except Exception as error:  # of SimpleITK, too, which raises RuntimeError
        return {"reason": " ".join(str(error).split()) or type(error).__name__}
    spread = np.nan_to_num(proposal.spread_mm, nan=-1.0).tolist()
    spreads = {name: one for name, one in zip(names, spread, strict=True) if one >= 0}
    return {
        **{"positions": predicted(proposal), "spread_mm": spreads},
        "uncertain": proposal.uncertain,
    }


def _atlas(one: dict[str, Any], names: tuple[str, ...], kept: dict[str, Atlas]) -> Atlas:
    key = _key(one, names)
    if key not in kept:
        marks = one["landmarks"]
        positions = np.array(list(marks.values()), dtype=np.float64).reshape(-1, 3)
        kept[key] = read_atlas(Path(one["path"]), LandmarkSet.of(list(marks), positions), names)
    return kept[key]


def _key(one: dict[str, Any], names: tuple[str, ...]) -> str:
    return json.dumps([one, names], sort_keys=True)


def _say(answers: IO[str], content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()

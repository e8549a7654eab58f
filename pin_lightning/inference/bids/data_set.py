"""The files that say that a folder is a BIDS data set, the derivatives among them."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pin_lightning.common.files import write_json, write_text
from pin_lightning.inference.bids.tables import tsv_text
from pin_lightning.inference.header import PredictionHeader

DESCRIPTION = "dataset_description.json"
GENERATOR, DESC = "pin-lightning", "pin"
CODE = "https://github.com/pin-lightning/pin-lightning"
BIDS_VERSION = "1.10.0"
RAW = "raw"  # name of the source in links
PREDICTIONS = "predictions"  # folder of what `infer` writes
SUFFIX = "afids"  # of the field's anatomical fiducials; BIDS itself has no files of landmarks
IGNORE, README = ".bidsignore", "README.md"
IGNORED = (f"*_{SUFFIX}.*", PREDICTIONS)
ABOUT = f"""# Landmarks of anatomical images

Predicted by {GENERATOR}, {CODE}.

- `sub-*/[ses-*/]anat/*_space-SUFFIX_desc-{DESC}_{SUFFIX}.fcsv`: the landmarks of an image, for 3D
  Slicer. SUFFIX is that of the image (T1w, ...), in whose own space they are.
- `*_{SUFFIX}.tsv`: the same as a table, in RAS+ mm; `*_{SUFFIX}.json` describes its columns.
- `group_{SUFFIX}.tsv`: the landmarks of all participants, after the group level.
- `{PREDICTIONS}/`: records, tables and `review.html`, with the most doubtful images first.
"""


def check_data_set(root: Path) -> None:
    """Check that a folder says that it is a BIDS data set.

    Raises:
        ValueError: It has no description, or one that lacks what BIDS asks for.
    """
    path = root / DESCRIPTION
    mend = "correct it, or give --skip-bids-validation"
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise ValueError(
            f"BIDS_DIR={root}: has no {DESCRIPTION}; give the folder of a BIDS data set, or "
            f"--skip-bids-validation"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON; {mend}") from error
    lacking = [one for one in ("Name", "BIDSVersion") if not _has(content, one)]
    if lacking:
        raise ValueError(f"{path}: lacks {' and '.join(lacking)}; {mend}")


def refuse_other_data_set(output: Path, root: Path) -> None:
    """Refuse an output folder that is, or holds, a data set of another program.

    Raises:
        ValueError: It does.
    """
    if output.resolve() == root.resolve():
        raise ValueError(
            f"OUTPUT_DIR={output}: is BIDS_DIR; give another folder, such as derivatives/{DESC}"
        )
    path = output / DESCRIPTION
    if path.is_file() and not _is_ours(path):
        raise ValueError(
            f"OUTPUT_DIR={output}: holds a data set that {GENERATOR} did not write; give another "
            f"folder, such as {root / 'derivatives' / DESC}"
        )


def write_data_set(output: Path, root: Path, header: PredictionHeader) -> None:
    """Write the description of the derivatives, and what validators are to leave out.

    A README, and lines of ``.bidsignore``, that somebody else wrote stay.

    Args:
        output: Folder of the derivatives.
        root: Folder of the data set that they come from.
        header: What predicts.
    """
    write_json(output / DESCRIPTION, _description(output, root, header))
    said = f"Landmarks predicted by {GENERATOR} with the run {header.run}"
    table = tsv_text(["desc_id", "description"], [[f"desc-{DESC}", said]])
    write_text(output / "descriptions.tsv", table)
    if not (output / README).exists():
        write_text(output / README, ABOUT)
    path = output / IGNORE
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    if lacking := [one for one in IGNORED if one not in lines]:
        write_text(path, "\n".join([*lines, *lacking]) + "\n")


def _description(output: Path, root: Path, header: PredictionHeader) -> dict[str, Any]:
    source = _content(root / DESCRIPTION)
    name = source.get("Name")
    of = f" of {name}" if isinstance(name, str) and name else ""
    link = os.path.relpath(root.resolve(), output.resolve())
    description: dict[str, Any] = {
        "Name": f"Landmarks{of}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": GENERATOR,
                "Version": header.version,
                "CodeURL": CODE,
                "Description": f"Run {header.run}, fingerprint {header.fingerprint}",
            }
        ],
        "DatasetLinks": {RAW: quote(Path(link).as_posix(), errors="surrogateescape")},
    }
    doi = source.get("DatasetDOI")
    if isinstance(doi, str) and doi.startswith("https://"):
        description["SourceDatasets"] = [{"URL": doi, "DOI": doi}]
    elif isinstance(doi, str) and doi:
        description["SourceDatasets"] = [{"DOI": doi}]
    return description


def _is_ours(path: Path) -> bool:
    by = _content(path).get("GeneratedBy")
    first = by[0] if isinstance(by, list) and by else None
    return isinstance(first, dict) and first.get("Name") == GENERATOR


def _content(path: Path) -> dict[str, Any]:
    """What a description says; nothing where it cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(path.read_text("utf-8-sig"))
        return content if isinstance(content, dict) else {}
    return {}


def _has(content: object, key: str) -> bool:
    return isinstance(content, dict) and isinstance(content.get(key), str) and bool(content[key])

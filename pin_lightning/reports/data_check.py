"""Report of a data check: a table of the cases and their findings, and a contact sheet."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from hydra.utils import instantiate
from nibabel.affines import voxel_sizes
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pin_lightning.common.files import output_folder
from pin_lightning.common.settings import refuse_missing
from pin_lightning.common.shown_table import print_table
from pin_lightning.data.anatomy import FEWEST_LANDMARKS
from pin_lightning.data.checks.cases import Finding
from pin_lightning.data.framing import AsScanned, Framed, InAnatomy
from pin_lightning.data.inspection import Inspected
from pin_lightning.data.renaming import Renaming
from pin_lightning.data.survey import Survey, survey
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.evaluation.planes.groups import check_groups, plane_groups
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.contact_sheet import contact_sheet

TURNED_DEGREES = 15.0  # of half of the scans, from which the sheet shows all of them upright
MOST_ROWS = 60  # with more cases only those with findings are listed
FACTS = ("voxels", "spacing mm", "axes", "landmarks")
COLOURS = {"error": "red", "warning": "yellow"}


class UprightWhereTurned:
    """In the anatomical frame where scans lie in different poses, else along the images' axes.

    By the median case: a few cases in error do not decide.
    """

    def __call__(
        self,
        inspected: Sequence[Inspected],
        spacing_mm: float | int | None,
        size: Sequence[int] | None,
    ) -> Framed:
        """Choose grid and affines of all cases; spacing and size may be given."""
        straight = AsScanned()(inspected, spacing_mm, size)
        if min(len(one.landmarks.defined_names) for one in inspected) < FEWEST_LANDMARKS:
            return straight
        try:
            found = InAnatomy()(inspected, spacing_mm, size)
        except ValueError:  # no landmarks in common, say, as other checks tell
            return straight
        turned = found.spread is not None and found.spread.median_degrees > TURNED_DEGREES
        return found if turned else straight


def check(config: DictConfig) -> int:
    """Check a data set by `conf/check.yaml`, print the table and write the contact sheet.

    Returns:
        The number of errors found.

    Raises:
        ValueError: No case can be read, or a setting is wrong.
    """
    refuse_missing(config)
    sheet = Path(config.sheet)
    output_folder("sheet", sheet.parent)
    data = config.data
    surveyed = survey(
        Renaming.of(data.rename).cases(instantiate(data.source)),
        Path(data.cache_dir),
        None if config.model.landmarks is None else list(config.model.landmarks),
        data.spacing_mm,
        None if data.grid_size is None else list(data.grid_size),
        data.on_error,
        UprightWhereTurned(),
    )
    console = Console()
    console.print(heading(surveyed), soft_wrap=True, markup=False)
    print_table(findings_table(surveyed))
    plots.save(_sheet(surveyed), sheet)
    counts = Counter(finding.level for finding in surveyed.findings)
    left_out = f"{len(surveyed.skipped)} cases left out; " if surveyed.skipped else ""
    console.print(
        f"{_number(counts['error'], 'error')}, {_number(counts['warning'], 'warning')}; {left_out}"
        f"{len(surveyed.names)} landmarks; "
        f"working volumes of {'x'.join(map(str, surveyed.grid.size))} voxels of "
        f"{surveyed.grid.spacing_mm:g} mm; look at {sheet}",
        soft_wrap=True,
        markup=False,
    )
    check_groups(plane_groups(data.planes), surveyed.known_names, surveyed.names)
    return counts["error"]


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def heading(surveyed: Survey) -> str:
    """The number of cases, and the facts that all of them share."""
    facts = [_facts(one, surveyed.names) for one in surveyed.inspected]
    by_fact = zip(FACTS, zip(*facts, strict=True), strict=True)
    shared = [f"{name} {values[0]}" for name, values in by_fact if len(set(values)) == 1]
    return ", ".join([f"{len(surveyed.found)} cases", *shared])


def findings_table(surveyed: Survey) -> Table:
    """Table of the cases with the facts in which they differ and their findings."""
    by_case: dict[str, list[Finding]] = {}
    for finding in surveyed.findings:
        by_case.setdefault(finding.case, []).append(finding)
    facts = {one.case.name: _facts(one, surveyed.names) for one in surveyed.inspected}
    varied = [i for i, each in enumerate(zip(*facts.values(), strict=True)) if len(set(each)) > 1]
    table = Table()
    for header in ("case", *(FACTS[index] for index in varied), "findings"):
        table.add_column(header, overflow="fold")
    if "" in by_case:
        table.add_row("all", *len(varied) * [""], _messages(by_case[""]))
    for case in surveyed.found:
        findings = by_case.get(case.name, [])
        if findings or len(surveyed.found) <= MOST_ROWS:
            known = facts.get(case.name, len(FACTS) * ("-",))
            shown = [known[index] for index in varied]
            table.add_row(Text(case.name), *shown, _messages(findings))
    return table


def _facts(inspected: Inspected, names: Sequence[str]) -> tuple[str, ...]:
    """The `FACTS` of a case."""
    shape, affine = inspected.header
    return (
        "x".join(map(str, shape)),
        "x".join(f"{side:.3g}" for side in voxel_sizes(affine)),
        "".join(nib.aff2axcodes(affine)),
        f"{inspected.landmarks.select(names).defined.sum()} of {len(names)}",
    )


def _messages(findings: Sequence[Finding]) -> Text:
    return Text("\n").join(Text(one.message, COLOURS[one.level]) for one in findings)


def _sheet(surveyed: Survey) -> plots.Figure:
    """Contact sheet of the cases that have a working volume."""
    annotated = {one.case.name: one for one in surveyed.cases if one.case.name in surveyed.volumes}

    def load(name: str) -> tuple[np.ndarray, np.ndarray]:
        volume = load_volume(surveyed.volumes[name])
        landmarks_mm = annotated[name].landmarks_mm.double().numpy()
        return volume.intensity.numpy(), surveyed.grid.mm_to_ijk(landmarks_mm)

    shown = (tuple(annotated), surveyed.names, load, surveyed.grid.spacing_mm, surveyed.findings)
    if surveyed.framed.anatomy is None:
        return contact_sheet(*shown)
    return contact_sheet(*shown, planes="y-z, x-z and x-y in the frame of the anatomy")

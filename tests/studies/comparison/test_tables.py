import io

import numpy as np
from rich.console import Console
from studies.comparison.test_paired import SETTINGS, named, two_runs

from pin_lightning.studies.comparison import tables
from pin_lightning.studies.comparison.paired import compare

HEADING = ("A: runs/[x]", "B: runs/b|c", "2 test cases")


def test_the_verdict_says_who_is_closer_or_that_it_cannot_be_told():
    a, b = two_runs(4)
    found = compare(a, b, named(4), [1.0], SETTINGS)
    low, high = (f"{-end:.3f}" for end in found.numbers["mean"].interval[::-1])
    size = f"{-found.numbers['mean'].difference:.3f}"
    assert tables.verdict(found) == (
        f"B is closer by {size} mm ({low} to {high}) on average, on 15 cases; p < 0.001."
    )
    assert tables.verdict(compare(b, a, named(4), [1.0], SETTINGS)).startswith("A is closer by")
    few = tables.verdict(compare(*two_runs(6, cases=4, gain=3.0), named(4), [1.0], SETTINGS))
    assert few.startswith("No difference can be told from these 4 cases: B - A is -")
    assert few.endswith("; p = 0.125.")
    one = compare(np.array([[1.0]]), np.array([[2.5]]), named(1), [1.0], SETTINGS)
    assert tables.verdict(one) == "One case tells nothing: B - A is 1.500 mm."


def test_remarks_count_cases_and_landmarks_and_warn_of_few_cases():
    found = tables.remarks(compare(*two_runs(4), named(4), [1.0], SETTINGS))
    assert found[0].startswith("B is closer in 100 % of the cases.")
    assert found[-1].endswith("4 of 4 landmarks.")
    few = tables.remarks(compare(*two_runs(6, cases=4), named(4), [1.0], SETTINGS))
    assert few[1] == "With fewer than 10 cases, the intervals are too narrow."


def test_the_table_fits_into_80_columns_and_shows_names_as_they_are():
    names = ("[red]tip[/red]", "a landmark with a rather long name, as anatomists like them")
    found = compare(*two_runs(0, landmarks=2), names, [0.5, 8.0], SETTINGS)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables.comparison_table(found, HEADING))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("A: runs/[x]" in line for line in lines)
    row = next(line for line in lines if "[red]tip[/red]" in line)
    one = found.landmarks["[red]tip[/red]"]
    cells = row.replace("│", " ").split()
    assert cells[1:4] == [f"{one.a:.3f}", f"{one.b:.3f}", f"{one.difference:+.3f}"]
    assert "Within 0.5 mm, %" in "\n".join(lines)


def test_markdown_by_hand():
    a, b = np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])
    found = compare(a, b, ["tip|x"], [2.0], SETTINGS)
    text = tables.comparison_markdown(found, HEADING, ["A note."])
    assert text.startswith(
        "# Comparison of two runs\n\n- A: runs/[x]\n- B: runs/b|c\n- 2 test cases\n\n"
        "No difference can be told from these 2 cases: B - A is +2.000 mm "
        "(95 % interval +2.000 to +2.000); p = 0.500.\n\n"
        "|  | A | B | B - A | 95 % interval |  |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| Mean radial error, mm | 1.500 | 3.500 | +2.000 | +2.000 to +2.000 |  |\n"
    )
    assert "| Within 2 mm, % | 100.0 | 0.0 | -100.0 | -100.0 to -100.0 |  |\n" in text
    # Two cases that agree: the t interval has no width.
    assert "| tip\\|x | 1.500 | 3.500 | +2.000 | +2.000 to +2.000 | * |\n" in text
    assert text.endswith("A note.\n")

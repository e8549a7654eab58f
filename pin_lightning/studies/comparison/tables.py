"""A comparison of two runs in sentences, as a table for the terminal and as Markdown."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from pin_lightning.common.tables import markdown
from pin_lightning.evaluation.bootstrap import FEW_CASES
from pin_lightning.reports.terminal_tables import empty_table
from pin_lightning.studies.comparison.paired import Comparison, Difference, Ends

_LENGTHS = {"mean": "Mean radial error, mm", "median": "Median, mm", "p95": "95th percentile, mm"}
_MARK = "*"


def verdict(comparison: Comparison) -> str:
    """Conclusion in a sentence."""
    mean, cases = comparison.numbers["mean"], f"{comparison.num_cases} cases"
    details = f"{_interval_text(mean, comparison.level)}; {_p_text(comparison.p_value)}"
    if comparison.num_cases < 2:
        return f"One case tells nothing: B - A is {mean.difference:.3f} mm."
    if not comparison.told_apart:
        return f"No difference can be told from these {cases}: B - A is {details}."
    closer = "B" if mean.difference < 0 else "A"
    ends = sorted(abs(end) for end in mean.interval or ())
    size = f"{abs(mean.difference):.3f} mm ({ends[0]:.3f} to {ends[1]:.3f})"
    return f"{closer} is closer by {size} on average, on {cases}; {_p_text(comparison.p_value)}."


def remarks(comparison: Comparison) -> list[str]:
    """Further sentences: the share of better cases, and how to read the table."""
    sentences = [
        f"B is closer in {100 * comparison.better_share:.0f} % of the cases. Intervals are over "
        f"cases ({100 * comparison.level:g} %); p is of a sign-flip test of their mean errors."
    ]
    if comparison.num_cases < FEW_CASES:
        sentences.append(f"With fewer than {FEW_CASES} cases, the intervals are too narrow.")
    told = sum(one.told_apart for one in comparison.landmarks.values())
    sentences.append(
        f"An asterisk marks what differs however many landmarks are looked at (paired t interval, "
        f"Bonferroni): {told} of {len(comparison.landmarks)} landmarks."
    )
    return sentences


def comparison_table(comparison: Comparison, heading: Sequence[str]) -> Table:
    """Table of all numbers and of each landmark, for the terminal; the heading is no markup."""
    table = empty_table("\n".join(heading), _header(comparison))
    for row in _number_rows(comparison):
        table.add_row(*map(Text, row))
    table.add_section()
    for row in _landmark_rows(comparison):
        table.add_row(*map(Text, row))
    return table


def comparison_markdown(
    comparison: Comparison, heading: Sequence[str], notes: Sequence[str]
) -> str:
    """Lines of the heading, verdict, table and remarks as Markdown."""
    rows = [*_number_rows(comparison), *_landmark_rows(comparison)]
    table = markdown(_header(comparison), rows)
    runs = "".join(f"- {line}\n" for line in heading)
    words = "\n".join([*remarks(comparison), *notes])
    return f"# Comparison of two runs\n\n{runs}\n{verdict(comparison)}\n\n{table}\n{words}\n"


def _header(comparison: Comparison) -> tuple[str, ...]:
    return ("", "A", "B", "B - A", f"{100 * comparison.level:g} % interval", "")


def _number_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    for key, one in comparison.numbers.items():
        if key in _LENGTHS:
            yield _LENGTHS[key], *_row(one, 1, 3), ""
        else:
            yield f"{key.replace('_', ' ').capitalize()}, %", *_row(one, 100, 1), ""


def _landmark_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    for name, one in comparison.landmarks.items():
        yield name, *_row(one, 1, 3), _MARK if one.told_apart else ""


def _row(one: Difference, factor: float, places: int) -> tuple[str, ...]:
    ends = "-" if one.interval is None else _ends_text(one.interval, factor, places)
    a, b = (f"{factor * value:.{places}f}" for value in (one.a, one.b))
    return a, b, f"{factor * one.difference:+.{places}f}", ends


def _ends_text(interval: Ends, factor: float, places: int) -> str:
    return " to ".join(f"{factor * end:+.{places}f}" for end in interval)


def _interval_text(one: Difference, level: float) -> str:
    ends = "" if one.interval is None else _ends_text(one.interval, 1, 3)
    return f"{one.difference:+.3f} mm ({100 * level:g} % interval {ends})"


def _p_text(p_value: float | None) -> str:
    if p_value is None:
        return "no test"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"

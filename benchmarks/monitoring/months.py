"""Real change: flights of each month beside those of January and February, by our measures.

    python benchmarks/monitoring/months.py

Prints for each month what alerts, the strongest first, each in units of its threshold.
"""

import ours
import windows

from penstock.components.monitoring.measures import comparison
from penstock.components.monitoring.measures.reference import Reference

ROWS = 5000
WINTER = 2  # months
LEFT_OUT = ["month", "day", "late"]  # what moves by its nature, and the label
_SHOWN = 4


def main() -> dict[str, dict[str, float]]:
    """Prints the table, and returns by month how far each feature that alerts is, in units of its threshold."""
    rows, names = windows.frame("flights")
    columns = [name for name in rows if name not in LEFT_OUT]
    winter = rows["month"] <= WINTER
    training = rows[winter].sample(windows.MOST_REFERENCE, random_state=1)
    categories = [name for name in names if name in columns]
    reference = Reference.of([ours.batch(training[columns])], dict.fromkeys(categories, "category"))
    others = rows.drop(training.index)
    figures = {}
    print("\n| month | what alerts, in units of its threshold |\n| ---: | --- |")
    for month, flights in others.groupby("month"):
        counts = reference.window()
        counts.add(ours.batch(flights.sample(ROWS, random_state=1)[columns]))
        shifts = [shift for shift in comparison.compare(reference, counts) if shift.alerts]
        shifts.sort(key=lambda shift: -shift.strongest.excess)
        figures[str(month)] = {shift.feature: round(shift.strongest.excess, 2) for shift in shifts}
        shown = [f"{shift.feature} {shift.strongest.excess:.1f}" for shift in shifts[:_SHOWN]]
        print(f"| {month} | {', '.join(shown)}{f', and {len(shifts) - _SHOWN} more' if shifts[_SHOWN:] else ''} |")
    return figures


if __name__ == "__main__":
    main()

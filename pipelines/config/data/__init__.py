"""What the configuration says of the data."""

from penstock.pipelines.config.data.csv import Csv
from penstock.pipelines.config.data.data import Data
from penstock.pipelines.config.data.place import Place
from penstock.pipelines.config.data.splits import SplitName, Splits

__all__ = ["Csv", "Data", "Place", "SplitName", "Splits"]

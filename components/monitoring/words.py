"""How measures and features are called in sentences and on pages."""

from penstock.core.text import printable

# By the names of components/monitoring/measures.
MEASURES = {
    "jensen_shannon": "Jensen-Shannon divergence",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov distance",
    "l_infinity": "L-infinity distance",
    "missing": "change of the share of missing values",
    "new_values": "share of values that training had not",
    "out_of_range": "share of numbers beyond those of training",
    "words": "greatest change of the share of texts with any one word",
    "new_words": "share of texts with a word that training had not",
    "value_count": "divergence of how many values rows have",
    "dependence": "change of the dependence between two features",
    "rare_combinations": "rise of the share of rows with a combination that training hardly had",
    "realised": "realised, from labels",
    "estimated": "estimated, without labels",
}
# By TFMA's names.
METRICS = {"auc": "AUC", "accuracy": "accuracy", "mean_absolute_error": "mean absolute error"}
_LONGEST = 60  # characters of a feature's name


def short(name: str) -> str:
    """Returns a feature's name, not too long for a table."""
    return printable.shortened(printable.printable(name), _LONGEST)

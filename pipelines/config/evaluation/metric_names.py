"""The names of metrics: TFMA's and Keras's, and the short ones that people use for them."""

from penstock.core.suggestions import nearest

# The names that TFMA 0.52 and tf_keras 2.21 know, so that a misspelt one is found at once. Checked by a test.
METRICS = """
AUC AUCPrecisionRecall BalancedAccuracy BinaryAccuracy BinaryCrossEntropy BinaryCrossentropy BooleanFlipRates
Calibration CalibrationPlot CategoricalAccuracy CategoricalCrossEntropy CategoricalCrossentropy CategoricalHinge
CoefficientOfDiscrimination ConfusionMatrixAtThresholds ConfusionMatrixPlot CosineSimilarity DiagnosticOddsRatio
ExactMatch ExampleCount F1Score FN FNR FP FPR FallOut FalseDiscoveryRate FalseNegatives FalseOmissionRate FalsePositives
FowlkesMallowsIndex Hinge Informedness KLDivergence LogCoshError Markedness MatthewsCorrelationCoefficient MaxRecall
MeanAbsoluteError MeanAbsolutePercentageError MeanLabel MeanPrediction MeanRelativeError MeanSquaredError
MeanSquaredLogarithmicError MinLabelPosition MissRate MultiClassConfusionMatrixAtThresholds
MultiClassConfusionMatrixPlot NDCG NPV NegativeLikelihoodRatio NegativePredictiveValue PPV Poisson
PositiveLikelihoodRatio Precision PrecisionAtRecall PredictedPositiveRate Prevalence PrevalenceThreshold
QueryStatistics R2Score Recall RecallAtFalsePositiveRate RecallAtPrecision RelativeCoefficientOfDiscrimination
RootMeanSquaredError ScoreDistributionPlot SensitivityAtSpecificity SparseCategoricalAccuracy
SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy Specificity SpecificityAtSensitivity SquaredHinge
SquaredPearsonCorrelation SymmetricPredictionDifference TN TNR TP TPR ThreatScore ThresholdAtRecall
TopKCategoricalAccuracy TrueNegatives TruePositives WeightedExampleCount
""".split()  # noqa: SIM905  (a list of names, not of lines)
SHORT = {
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "mse": "MeanSquaredError",
    "msle": "MeanSquaredLogarithmicError",
    "r2": "R2Score",
    "rmse": "RootMeanSquaredError",
}
_CLASSES = {name.lower(): name for name in METRICS} | SHORT


def class_name(metric: str) -> str:
    """Returns the class of a metric given by its class name, in snake case or short; a ValueError names the nearest."""
    known = plain(metric)
    if known in METRICS:
        return known
    near = nearest(metric.replace("_", "").lower(), _CLASSES, cutoff=0.5)
    hint = f"did you mean {_CLASSES[near]!r}?" if near else "expected a metric of Keras or TFMA, such as AUC"
    raise ValueError(f"unknown metric {metric!r}; {hint}")


def plain(metric: str) -> str:
    """Returns the class of a metric, or the name as it is if there is no class of it."""
    return metric if metric in METRICS else _CLASSES.get(metric.replace("_", "").lower(), metric)

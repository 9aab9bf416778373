"""Which metrics suit which problem, by what they compare: classes with their probabilities, or numbers with numbers.

The Evaluator finds it out when there are predictions, and refuses what cannot be computed. Some metrics that mean
nothing can: the CategoricalAccuracy of numbers is 1.
"""

from penstock.core.labels import Problem

_OF_ANY = {
    "BooleanFlipRates", "Calibration", "CosineSimilarity", "ExactMatch", "ExampleCount", "KLDivergence", "MeanLabel",
    "MeanPrediction", "MinLabelPosition", "NDCG", "Poisson", "QueryStatistics", "SymmetricPredictionDifference",
    "WeightedExampleCount",
}  # fmt: skip
_OF_NUMBERS = {
    "LogCoshError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanRelativeError", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "R2Score", "RootMeanSquaredError", "SquaredPearsonCorrelation",
}  # fmt: skip
_OF_SEVERAL = {
    "MultiClassConfusionMatrixAtThresholds", "MultiClassConfusionMatrixPlot", "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy",
}  # fmt: skip
_OF_ONE_HOT = {
    "CategoricalAccuracy", "CategoricalCrossEntropy", "CategoricalCrossentropy", "CategoricalHinge",
    "TopKCategoricalAccuracy",
}  # fmt: skip
_OF_CLASSES = {
    "AUC", "AUCPrecisionRecall", "BalancedAccuracy", "BinaryAccuracy", "BinaryCrossEntropy", "BinaryCrossentropy",
    "CalibrationPlot", "CoefficientOfDiscrimination", "ConfusionMatrixAtThresholds", "ConfusionMatrixPlot",
    "DiagnosticOddsRatio", "F1Score", "FN", "FNR", "FP", "FPR", "FallOut", "FalseDiscoveryRate", "FalseNegatives",
    "FalseOmissionRate", "FalsePositives", "FowlkesMallowsIndex", "Hinge", "Informedness", "Markedness",
    "MatthewsCorrelationCoefficient", "MaxRecall", "MissRate", "NPV", "NegativeLikelihoodRatio",
    "NegativePredictiveValue", "PPV", "PositiveLikelihoodRatio", "Precision", "PrecisionAtRecall",
    "PredictedPositiveRate", "Prevalence", "PrevalenceThreshold", "Recall", "RecallAtFalsePositiveRate",
    "RecallAtPrecision", "RelativeCoefficientOfDiscrimination", "ScoreDistributionPlot", "SensitivityAtSpecificity",
    "Specificity", "SpecificityAtSensitivity", "SquaredHinge", "TN", "TNR", "TP", "TPR", "ThreatScore",
    "ThresholdAtRecall", "TrueNegatives", "TruePositives",
}  # fmt: skip
_COMPARED = {
    "classes": _OF_CLASSES,
    "numbers": _OF_NUMBERS,
    "several classes": _OF_SEVERAL,
    "labels that are rows of 0 and 1": _OF_ONE_HOT,
}
_SUITING: dict[Problem, set[str]] = {
    "binary": _OF_CLASSES | _OF_NUMBERS,  # a probability has an error as well
    "multiclass": _OF_CLASSES | _OF_SEVERAL,  # each class against all others
    "regression": _OF_NUMBERS,
}
_EXPECTED: dict[Problem, str] = {
    "binary": "is one of two classes: expected such as auc, binary_accuracy or f1_score",
    "multiclass": "is one of several classes: expected such as sparse_categorical_accuracy",
    "regression": "is a number: expected such as rmse, mae or r2",
}


def misfit(metric: str, problem: Problem, is_share: bool = False) -> str:
    """Returns what is wrong with a metric of this class for a model without code; "" if it suits.

    `is_share` says that a number to predict is from 0 to 1, as probabilities are: then metrics of classes suit.
    """
    suiting = _SUITING[problem] | (_OF_CLASSES if is_share else set())
    compared = next((words for words, metrics in _COMPARED.items() if metric in metrics - suiting), "")
    return f"{metric} is for {compared}, and the label {_EXPECTED[problem]}" if compared else ""

"""Who is told of local runs: MLflow where MLFLOW_TRACKING_URI is set, OpenLineage where OPENLINEAGE_URL is.

A server that is away, refuses or is slow costs a warning, never the run. Each has a module, which imports the vendor's
library in its functions.
"""

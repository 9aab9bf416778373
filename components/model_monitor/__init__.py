"""ModelMonitor: the baseline that windows of a model's requests are compared with.

training_rows.py  the rows that the baseline is of    answered.py   what the model says of them
fixed.py          thresholds that somebody has set    report.py     the page
watching.py       the service that the pushed model is served by, told to compare requests itself; services/ has them
"""

from penstock.components.model_monitor.component import model_monitor

__all__ = ["model_monitor"]

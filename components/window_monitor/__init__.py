"""WindowMonitor: a window of a model's requests beside its baseline.

counting.py  the window's rows, shard by shard    causes.py  what is likely behind a shift
findings.py  what moved, in order of urgency      places.py  where requests and earlier windows are
metrics.py   the numbers for Prometheus           report/    the page
rare_combinations.py  the most striking combination of two features' values
"""

from penstock.components.window_monitor.component import window_monitor

__all__ = ["window_monitor"]

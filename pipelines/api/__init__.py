"""What `import penstock` gives notebooks and tests: runs of this machine, and what came of them.

    run = penstock.run("pipeline.yaml", {"training.epochs": 3})
    run.metrics["auc"]

local_run.py has the functions and the Run; report.py shows a page in a notebook; opening.py opens artifacts with the
libraries that own them; data frames are made by components/scoring/frames.py.
"""

from penstock.pipelines.api.local_run import Run, run, runs
from penstock.pipelines.api.report import Report

__all__ = ["Report", "Run", "run", "runs"]

"""WindowMonitor as a pipeline component."""

from kfp.dsl import HTML, Artifact, Input, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.window_monitor.executor"])
def window_monitor(
    window: Output[Artifact],
    report: Output[HTML],
    baseline: Input[Artifact],
    requests: str,
    window_length: str = "1d",
    begin: str = "",
    end: str = "",
    model: str = "",
    version: int = 0,
    instances: str = "",
    history: str = "",
    labels: str = "",
    performance: str = "",
    drift: str = "",
    engine: str = "local",
) -> bool:
    """Compares a window of a model's requests with the baseline, and says what moved.

    With labels it also says how good the model was, by the metrics and slices of its evaluation: in this window, and in
    those earlier windows of `history` whose labels have come since.

    Returns whether nothing alerts. Requests that cannot be read are left out and counted, with the reason.

    Args:
        baseline: What requests are compared with, from ModelMonitor.
        requests: The folder of the model server's request log, of what `penstock collect` has kept, or of what
            SageMaker has captured: a path or a URI.
        window_length: How long the window is: a number and m, h, d or w (minutes, hours, days, weeks).
        begin: Its first moment, such as 2026-11-30; by default it ends at `end`.
        end: The first moment after it; by default the task's own time.
        model: The model's name on its server; "" where the log has only one.
        version: The version whose requests are meant; 0: all of them.
        instances: What an instance looks like in the requests of other servers, as JSON: `columns`, the features of one
            that is a list; `path`, the keys that lead to them; `names`, the schema's names by those of requests.
        history: A folder of earlier windows' records, which the page shows beside this one; this one is added.
        labels: JSON `{"files": "gs://.../labels/*.csv", "key": ["trip_id"], "column": "tips", "wait": "30d"}`: CSV or
            Parquet files, the features that a label and its rows have in common (by default the log's request_id, and
            row if the files have it), the label's column (by default the pipeline's label), and how long labels take.
        performance: JSON `{"limits": {"auc": 0.8}, "estimates_alert": false}`: what metrics are to be, beside the
            thresholds of the evaluation, and whether metrics that are estimated without labels alert as well.
        drift: Compares with another window of `history` too: `before` for the newest one before it, or the moment at
            which one begins.
        engine: Where pieces of the log are read: `local` (a worker for each core), `local:N`, `spark`, `beam`.
        window: What was measured: `window.json`; metadata `rows`, and `alerts`: how many features,
            pairs, predictions and metrics alert, and metrics of earlier windows that did not before.
        report: What moved for a person to look at.
    """
    from penstock.components.window_monitor import executor

    result = executor.run(
        window=window.path,
        report=report.path,
        baseline=baseline.path,
        requests=requests,
        window_length=window_length,
        begin=begin,
        end=end,
        model=model,
        version=version,
        instances=instances,
        history=history,
        labels=labels,
        performance=performance,
        drift=drift,
        engine=engine,
        baseline_uri=baseline.metadata.get("baseline", baseline.uri),  # of a copy, the original's
    )
    window.metadata.update(result.metadata["window"])
    return result.blessed

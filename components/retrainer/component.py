"""The Retrainer component."""

from kfp.dsl import HTML, Artifact, Input, Output

from penstock.components.wrapper import component


@component(imports=[])
def retrainer(
    retraining: Output[Artifact],
    window: Input[Artifact],
    baseline: Input[Artifact],
    state: str,
    pipeline: str,
    input_base: str,
    input_config: str = "",
    range_config: str = "",
    policy: str = "",
    server: str = "",
    alert_state: str = "",
    alert_settings: str = "",
    report: Input[HTML] = None,
) -> None:
    """Decides whether a monitored model is trained anew, and starts the training pipeline if it is.

    A retraining is written down before its run is started, with the run's name, by which it is looked up first: so a
    task that dies is simply run again. It talks to the world, so it is never cached. If the server does not take the
    run, the retraining is kept for the next time, and the task fails. What becomes of a retraining, and what holds one
    back, is told by the channels of the Alerter, each once.

    Args:
        window: A window from WindowMonitor.
        baseline: What the window was compared with, which knows the data that the model was trained on.
        state: The folder that remembers retrainings from run to run: a path or a URI. Pipelines may share it.
        pipeline: The compiled training pipeline: a path or a URI. Its parameters have their defaults.
        input_base: The folder of its data, as its InputResolver is told: without new data there is no retraining.
        input_config: TFX's Input message as JSON, likewise.
        range_config: TFX's RangeConfig message as JSON, likewise.
        policy: JSON with `drift`, `performance_loss`, `performance_limits`, `max_age`, `new_spans`, `new_rows`,
            `cool_down`, `max_per_week`, `budget_hours` and `approval`; "" has sensible defaults.
        server: JSON `{"kubeflow": {...}}` or `{"vertex": {...}}`, with keys of the section of that name in a
            configuration, as far as they are of the server and its runs; `host` is the address that the task reaches.
            Left out, the target says it; without either nothing is started, but by `penstock retrain`.
        alert_state: The Alerter's `state`, which remembers what was told; "": nobody is told.
        alert_settings: The Alerter's `settings`, with the channels; by default the log is told.
        report: The window's page, which the retraining links.

    Returns:
        retraining: `retraining.json`: what was decided and why; metadata `outcome`, and `retraining`, the run's name.
    """
    from penstock.components.retrainer import executor

    result = executor.run(
        retraining=retraining.path,
        window=window.path,
        baseline=baseline.path,
        state=state,
        pipeline=pipeline,
        input_base=input_base,
        input_config=input_config,
        range_config=range_config,
        policy=policy,
        server=server,
        alert_state=alert_state,
        alert_settings=alert_settings,
        report_uri=report.uri if report else "",
    )
    retraining.metadata.update(result.metadata["retraining"])

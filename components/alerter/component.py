"""The Alerter component."""

from kfp.dsl import HTML, Artifact, Input, Output

from penstock.components.wrapper import component


@component(imports=[])
def alerter(
    alerts: Output[Artifact], window: Input[Artifact], state: str, settings: str = "", report: Input[HTML] = None
) -> None:
    """Tells people and servers what a monitored window shows: each alert once, when it opens, gets worse and ends.

    There is one open alert for each model, feature and measure. What is to be told is written down before it is sent,
    so a task that dies is simply run again. It talks to the world, so it is never cached. If a channel does not take a
    message, the others are told nevertheless, the message is kept for the next run, and the task fails.

    Args:
        window: A window from WindowMonitor.
        report: The window's page, which alerts link.
        state: The folder that remembers open alerts and waiting messages from run to run: a path or a URI. Models may
            share it.
        settings: JSON with `open_after`, `close_after`, `close_at`, `warning_from`, `critical_from`, `quiet_hours`,
            `rate_limit`, `links` and `channels`; by default the log is told. Secrets are named by the variable or the
            file that holds them.

    Returns:
        alerts: `alerts.json`: the window's events, the open alerts, and how many messages wait; metadata `open` and
            `events`.
    """
    from penstock.components.alerter import executor

    result = executor.run(
        alerts=alerts.path,
        window=window.path,
        state=state,
        settings=settings,
        report_uri=report.uri if report else "",
    )
    alerts.metadata.update(result.metadata["alerts"])

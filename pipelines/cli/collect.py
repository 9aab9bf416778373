"""`penstock collect`: KServe's events of requests and responses, kept as a request log that is monitored."""

import logging
import sys
from pathlib import Path

import click

from penstock.core.errors import UserError
from penstock.core.files import atomic, object_stores


@click.command()
@click.argument("log", default="requests", metavar="[LOG]")
@click.option(
    "--journals",
    type=click.Path(path_type=Path),
    help="The folder of what is not yet in LOG, on a disk that outlives the process; by default LOG/.journals.",
)
@click.option(
    "--namespace", default="", help="The namespace whose models are called without it: NAME, not NAME.NAMESPACE."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, help="The port, 8080 by default; 0 takes a free one."
)
@click.option(
    "--host", default="127.0.0.1", help="The address to listen at: 127.0.0.1, this machine alone, by default."
)
@click.option(
    "--rotate-seconds",
    type=click.FloatRange(1),
    default=300,
    help="How often files are written, 300 by default; sooner when there are 32 MiB of events.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0),
    default=60,
    help="For how many seconds a request waits for its response, 60 by default.",
)
def collect(
    log: str, journals: Path | None, namespace: str, port: int, host: str, rotate_seconds: float, patience: float
) -> None:
    """Takes the events of KServe's logger, and keeps requests with their responses in LOG: a folder or a bucket.

    `penstock monitor --requests LOG` and the monitoring pipeline read them. An event is answered when it is on the
    disk. SIGTERM has all of them written into LOG.
    """
    if journals is None and object_stores.is_remote(log):
        raise UserError(
            f"--journals: expected a folder on a disk, for what is not yet in {log}, such as --journals journals"
        )
    log_format = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=log_format, stream=sys.stderr, force=True)
    try:
        from penstock.components.event_collector import server
        from penstock.components.event_collector.settings import Settings
    except ImportError as error:
        raise UserError(f"collecting needs more packages: pip install 'penstock[runtime]' ({error})") from None
    server.collect(
        Settings(
            log=log,
            journals=journals or atomic.local_path(log) / ".journals",
            namespace=namespace,
            host=host,
            port=port,
            rotate_seconds=rotate_seconds,
            patience=patience,
        )
    )

"""Starts the server with settings in JSON: `python -m penstock.components.model_server '{"models": [...], "port": 0}'`.

Its keys are those of settings.ServerSettings. `penstock serve` is the command for people.
"""

import logging
import sys

from penstock.core.errors import PenstockError
from penstock.core.legacy import keras_version


def main(text: str) -> int:
    """Serves, and returns the exit code: 0 after SIGTERM, 2 for what the user can mend."""
    keras_version.leave_out()
    from penstock.components.model_server import server, settings

    log_format = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=log_format, stream=sys.stderr, force=True)
    try:
        server.serve(settings.parse(text))
    except PenstockError as error:
        sys.stderr.write(f"penstock: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

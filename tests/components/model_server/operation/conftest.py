"""What tests of the operation share."""

import threading
from collections.abc import Iterator

import pytest

from tests.components.model_server.operation.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()

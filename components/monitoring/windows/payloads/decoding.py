"""Exchanges in batches of rows, each with the columns that its requests and responses have."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.logged import ABOUT, BATCH_ROWS, LoggedRows
from penstock.components.monitoring.windows.payloads import bodies, cells
from penstock.components.monitoring.windows.payloads.bodies import Rows
from penstock.components.monitoring.windows.payloads.exchange import Body, Exchange, Unreadable
from penstock.components.monitoring.windows.payloads.instances import SERIALIZED, Instances

_UNASKED = "a response without a request"
_UNANSWERED = "a row of a request without a response"
_OTHER_ROWS = "a row of a request whose response has another number of rows"
_NONE = Rows({}, 0)

type _Layout = tuple[bool, frozenset[str]]  # whether inputs are serialized tf.Examples, and the names of outputs


def rows(exchanges: Iterable[Exchange], instances: Instances, account: Account, where: str) -> Iterator[LoggedRows]:
    """Yields the rows of exchanges; counts requests and responses that cannot be read, with `where` they are."""
    waiting, layout = _Waiting(), None
    for exchange in exchanges:
        try:
            if exchange.request is None:
                raise Unreadable(_UNASKED, exchange.request_id)
            inputs = bodies.request(exchange.request, instances)
        except Unreadable as error:
            account.count_request(exchange.sample)
            account.left_out.add("rows", error.reason, f"{where}: {error.detail}")
            continue
        outputs = _outputs(exchange.response, inputs.count, account, where)
        same: _Layout = SERIALIZED in inputs.columns, frozenset(outputs.columns)
        if waiting.count and (same != layout or waiting.count >= BATCH_ROWS):
            yield waiting.batch()
            waiting = _Waiting()
        layout = same
        waiting.add(exchange, inputs, outputs)
    if waiting.count:
        yield waiting.batch()


def _outputs(body: Body | None, count: int, account: Account, where: str) -> Rows:
    """Returns the outputs of so many rows; none, and counted, where the response does not fit."""
    if body is None:
        account.odd.add("rows", _UNANSWERED, where, count)
        return _NONE
    try:
        outputs = bodies.response(body)
    except Unreadable as error:
        account.odd.add("rows", f"{error.reason}, as a response", f"{where}: {error.detail}", count)
        return _NONE
    if outputs.count != count:
        account.odd.add("rows", _OTHER_ROWS, f"{where}: {outputs.count} for {count}", count)
        return _NONE
    return outputs


@dataclass
class _Waiting:
    """Exchanges of the same layout, not yet a batch."""

    count: int = 0
    _exchanges: list[Exchange] = field(default_factory=list)
    _inputs: list[Rows] = field(default_factory=list)
    _outputs: list[Rows] = field(default_factory=list)

    def add(self, exchange: Exchange, inputs: Rows, outputs: Rows) -> None:
        self.count += inputs.count
        self._exchanges.append(exchange)
        self._inputs.append(inputs)
        self._outputs.append(outputs)

    def batch(self) -> LoggedRows:
        counts: npt.NDArray[np.int64] = np.array([rows.count for rows in self._inputs], np.int64)
        starts: npt.NDArray[np.int64] = np.repeat(np.cumsum(counts) - counts, counts)
        places = pa.array(np.repeat(np.arange(len(counts)), counts))
        about = [
            pa.array([one.time for one in self._exchanges], ABOUT.field("time").type).take(places),
            pa.array([one.request_id for one in self._exchanges], pa.string()).take(places),
            pa.array((np.arange(len(starts)) - starts).astype(np.int32)),
            pa.array([one.sample for one in self._exchanges], pa.float64()).take(places),
        ]
        return LoggedRows(
            pa.RecordBatch.from_arrays(about, schema=ABOUT), _columns(self._inputs), _columns(self._outputs)
        )


def _columns(parts: list[Rows]) -> Mapping[str, pa.Array]:
    """Returns columns over all parts; a part without a column has None in each row."""
    names = dict.fromkeys(name for part in parts for name in part.columns)
    return {
        name: cells.column([cell for part in parts for cell in part.columns.get(name) or [None] * part.count])
        for name in names
    }

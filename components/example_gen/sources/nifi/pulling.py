"""Pulls FlowFiles so that none is lost and none is read twice, wherever this process is killed.

The FlowFiles of a transaction are kept as they came, then written down, then confirmed to NiFi. Killed before they are
written down, they go back to NiFi's queue and come again. Killed after, or where NiFi's answer is lost, nobody knows
whether NiFi has forgotten them: they are kept and in doubt, and those that come again are known by their ids. Rows are
marked as read once the Examples are in their place; until then a run reads them again, with what has come since.
"""

import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from pydantic import TypeAdapter

from penstock.components.example_gen.sources.nifi import packets
from penstock.components.example_gen.sources.nifi.options import SiteToSite
from penstock.components.example_gen.sources.nifi.site_to_site import BadChecksum, Nifi, Node, Transaction, Unknown
from penstock.components.example_gen.sources.spooled.spool import Kept, Spool
from penstock.core import progress
from penstock.core.artifacts.state import StateFiles
from penstock.core.errors import DataError, NoServer
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered
from penstock.core.state.folder import Folder, Kind

logger = logging.getLogger(__name__)
_DOUBTED = 3600.0  # seconds after which NiFi has taken a transaction back, if it ever does


class Part(TypedDict):
    """A transaction that is kept, as spool.Kept has it: `without` are FlowFiles that came before."""

    sha256: str
    size: int
    name: str
    without: list[str]


class Span(TypedDict):
    """What came until it was read: its version counts the runs that added to it."""

    number: int
    version: int
    read: bool
    parts: list[Part]


class Doubt(TypedDict):
    """A transaction that NiFi may have forgotten, or may have taken back: the ids of its FlowFiles."""

    url: str
    checksum: int
    since: float
    ids: list[str]


class Pulled(TypedDict):
    """All spans that are kept, the oldest first, what is in doubt, and the digests of snapshots, the newest last."""

    spans: list[Span]
    doubts: list[Doubt]
    snapshots: list[str]


KIND: Kind[Pulled] = Kind(
    lambda: TypeAdapter(Pulled),
    lambda: Pulled(spans=[], doubts=[], snapshots=[]),
    StateFiles,
    "FlowFiles",
    "those that NiFi has forgotten are lost",
)


@dataclass
class Pull:
    """One run's pull of all that is in the port's queues, while it holds the state."""

    options: SiteToSite
    folder: Folder[Pulled]
    spool: Spool
    scratch: Path

    def __post_init__(self) -> None:
        self.state = self.folder.read()
        self._grown = False
        self._size = 0

    def all(self) -> Pulled:
        """Pulls until the queues are empty, or as much as the options say; returns the state after it."""
        began, nifi = time.time(), Nifi(self.options)
        port = nifi.port_id()
        nodes = nifi.nodes()
        self._settle(nodes)
        drained = [self._drain(node, port) for node in nodes]
        if all(drained):  # what went back to a queue has come again
            old = [doubt for doubt in self.state["doubts"] if began - doubt["since"] > _DOUBTED]
            self.state["doubts"] = [doubt for doubt in self.state["doubts"] if doubt not in old]
        self.write()
        return self.state

    def write(self) -> None:
        self.folder.write(self.state)

    def _settle(self, nodes: Sequence[Node]) -> None:
        """Confirms what a run before was killed over, where NiFi still knows it."""
        for doubt in list(self.state["doubts"]):
            for node in nodes:
                if doubt["url"].startswith(f"{node.host}/"):
                    with contextlib.suppress(BadChecksum):  # what came of it was damaged, and comes again
                        self._confirm(node, doubt)

    def _drain(self, node: Node, port: str) -> bool:
        """Pulls from a node, transaction by transaction; whether its queue is empty now."""
        failures = 0
        while self._size < self.options.max_bytes:
            try:
                if not self._transaction(node, port):
                    return True
                failures = 0
            except (Unanswered, BadChecksum) as error:
                failures += 1
                passing = error if isinstance(error, Unanswered) else _damaged(node)
                if failures == retries.TRIES:
                    raise passing from None
                retries.pause(failures, passing)
        logger.info("%s MiB were pulled; the next run pulls the rest", f"{self._size >> 20:,}")
        return False

    def _transaction(self, node: Node, port: str) -> bool:
        """Pulls one transaction; whether there was one."""
        transaction, path = node.open(port), self.scratch / "packets"
        opened = time.monotonic()
        try:
            checksum = node.receive(transaction, path)
            if checksum is None:
                node.cancel(transaction)
                return False
            ids = _ids(path, transaction)
            if time.monotonic() - opened > transaction.ttl / 4:
                node.extend(transaction)
        except Unanswered:
            node.cancel(transaction)
            raise
        known = {one for doubt in self.state["doubts"] for one in doubt["ids"]}
        kept = self.spool.add(path, _name(transaction.url))
        doubt = Doubt(url=transaction.url, checksum=checksum, since=time.time(), ids=ids)
        self._write_down(kept, [one for one in ids if one in known], doubt)
        self._confirm(node, doubt)
        self._size += kept.size
        progress.say(f"{self._size >> 10:,} KiB of FlowFiles pulled")
        return True

    def _write_down(self, kept: Kept, again: Sequence[str], doubt: Doubt) -> None:
        spans = self.state["spans"]
        if not spans or spans[-1]["read"]:
            number = spans[-1]["number"] + 1 if spans else 1
            spans.append(Span(number=number, version=0, read=False, parts=[]))
        spans[-1]["version"] += not self._grown
        self._grown = True
        part = Part(sha256=kept.sha256, size=kept.size, name=kept.name, without=list(again))
        spans[-1]["parts"].append(part)
        self.state["doubts"].append(doubt)
        self.write()

    def _confirm(self, node: Node, doubt: Doubt) -> None:
        """Confirms what is written down. Where NiFi has another checksum, nothing of it stays."""
        try:
            is_settled = self._settled(node, doubt)
        except BadChecksum:
            self._forget(doubt)
            raise
        if is_settled:
            gone = set(doubt["ids"])
            rest = [other | {"ids": [one for one in other["ids"] if one not in gone]} for other in self.state["doubts"]]
            self.state["doubts"] = [Doubt(**other) for other in rest if other["ids"]]  # type: ignore[typeddict-item]

    def _forget(self, doubt: Doubt) -> None:
        """Removes what came of a transaction, which NiFi gives out again."""
        self.state["doubts"].remove(doubt)
        for span in self.state["spans"]:
            span["parts"] = [part for part in span["parts"] if part["name"] != _name(doubt["url"])]
        if not self.state["spans"][-1]["parts"]:
            self.state["spans"].pop()
            self._grown = False
        self.write()

    def _settled(self, node: Node, doubt: Doubt) -> bool:
        """Whether NiFi has confirmed a transaction, and so has forgotten its FlowFiles; if not, they stay in doubt."""
        try:
            node.confirm(doubt["url"], doubt["checksum"])
        except Unknown:
            return False
        except (Unanswered, NoServer) as error:
            logger.warning("%s: whether NiFi has forgotten it is in doubt: %s", doubt["url"], error.message)
            return False
        return True


def _name(url: str) -> str:
    """Returns what a person knows a transaction by."""
    return f"transaction {url.rpartition('/')[2]}"


def _ids(path: Path, transaction: Transaction) -> list[str]:
    """Returns the ids of the FlowFiles of a transaction; an Unanswered where they were cut."""
    try:
        return [flow_file.id for flow_file in packets.flow_files(path, _name(transaction.url))]
    except DataError as error:
        raise Unanswered(error.message.removesuffix("."), "try again") from None


def _damaged(node: Node) -> Unanswered:
    return Unanswered(f"{node.host}: FlowFiles came with another checksum than NiFi's", "try again")


def tidy(state: Pulled, keep: int) -> list[Kept]:
    """Removes old spans that were read from a state; returns the files of those that stay."""
    unread = [span["number"] for span in state["spans"] if not span["read"]]
    first = min([*unread, *(span["number"] for span in state["spans"][-keep:])], default=0)
    state["spans"] = [span for span in state["spans"] if span["number"] >= first]
    state["snapshots"] = state["snapshots"][-keep:]
    return [Kept.of_json(dict(part)) for span in state["spans"] for part in span["parts"]]


def mark_read(folder: Folder[Pulled], versions: Iterable[tuple[int, int]]) -> None:
    """Writes down that the rows of spans are safe; a span that has grown since is read again."""
    wanted = set(versions)
    with folder.held():
        state = folder.read()
        for span in state["spans"]:
            span["read"] = span["read"] or (span["number"], span["version"]) in wanted
        folder.write(state)

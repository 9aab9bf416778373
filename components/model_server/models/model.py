"""One model: which of its versions are served, and the switch from one to the next without a failed request."""

import asyncio
import concurrent.futures
import contextlib
import logging
import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.components.model_server.inference import Kind, RequestError, State, Target, VersionStatus
from penstock.components.model_server.models import loading, places
from penstock.components.model_server.models.version import ServedVersion
from penstock.components.model_server.models.warm_up import warm_up
from penstock.components.model_server.operation.metrics import Metrics
from penstock.components.model_server.settings import ModelSettings, ServerSettings, Versions
from penstock.core.artifacts import Traffic
from penstock.core.errors import PenstockError
from penstock.core.suggestions import did_you_mean, listed

logger = logging.getLogger(__name__)


@dataclass
class _Version:
    """What is known of a version: the tag of its files when it was loaded, and what came of that."""

    tag: str
    state: State
    error: str = ""
    served: ServedVersion | None = None
    folder: contextlib.ExitStack | None = None  # keeps what was fetched until the version ends


class ServedModel:
    """A model and its versions. Its methods are called on the event loop; loading is done on a thread."""

    def __init__(
        self,
        settings: ModelSettings,
        server: ServerSettings,
        executor: concurrent.futures.Executor,
        metrics: Metrics,
    ):
        self.settings = settings
        self.labels: Mapping[str, int] = {}  # those of the settings, as far as their versions are loaded
        self._server = server
        self._executor = executor
        self._metrics = metrics
        self._place = places.place(settings.path)
        self._versions: dict[int, _Version] = {}
        self._newest: ServedVersion | None = None
        self._traffic: Traffic | None = None  # what serves what share, if the folder says so
        self._closing: set[asyncio.Task[None]] = set()
        self._problem = ""
        self._updating = asyncio.Lock()
        self.is_settled = False  # whether every version that is wanted has been tried

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def is_ready(self) -> bool:
        return self.is_settled and self._newest is not None

    @property
    def served(self) -> Sequence[ServedVersion]:
        """The versions that answer, the newest first."""
        return [entry.served for _, entry in sorted(self._versions.items(), reverse=True) if entry.served]

    @property
    def error(self) -> str:
        """Why no version is served; "" if one is, or if that is not known yet."""
        errors = [entry.error for _, entry in sorted(self._versions.items(), reverse=True) if entry.error]
        return "" if self._newest else next(iter(errors), self._problem)

    def find(self, target: Target) -> ServedVersion:
        """Returns the version that a request is for; a RequestError as Models.lease says."""
        if target.label:
            version = self.labels.get(target.label, self._wanted_labels.get(target.label))
            if version is None:
                raise RequestError(
                    Kind.NOT_FOUND,
                    f"model {self.name!r} has no label {target.label!r}; {did_you_mean(target.label, self.labels)}",
                )
            return self._loaded(version)
        if target.version is not None:
            return self._loaded(target.version)
        served = self._drawn() or self._newest
        if served is None:
            raise RequestError(Kind.NOT_READY, f"model {self.name!r} is not loaded: {self.error or 'it is loading'}")
        return served

    def _drawn(self) -> ServedVersion | None:
        """Returns the canary for its share of the requests, else the version beside it, as far as they are loaded.

        None where nobody splits, or where the drawn version and the stable one are not loaded: then the newest that is
        loaded answers, which may be the canary, beyond its share.
        """
        if self._traffic is None:
            return None
        on_trial = self._traffic.canary is not None and random.random() * 100 < self._traffic.percent
        for version in (self._traffic.canary if on_trial else None, self._traffic.stable):
            entry = self._versions.get(version) if version is not None else None
            if entry and entry.served:
                return entry.served
        return None

    @property
    def _wanted_labels(self) -> Mapping[str, int]:
        return {**(self._traffic.labels if self._traffic else {}), **self.settings.labels}

    def _loaded(self, version: int) -> ServedVersion:
        entry = self._versions.get(version)
        if entry and entry.served:
            return entry.served
        if entry and entry.error:
            raise RequestError(Kind.NOT_READY, f"version {version} of {self.name!r} is not loaded: {entry.error}")
        if entry and entry.state in (State.START, State.LOADING):
            raise RequestError(Kind.NOT_READY, f"version {version} of {self.name!r} is loading")
        versions = listed([str(served.version) for served in self.served]) or "none"
        raise RequestError(Kind.NOT_FOUND, f"model {self.name!r} has no version {version}: loaded are {versions}")

    def status(self) -> Sequence[VersionStatus]:
        """Returns what became of each version, the highest first."""
        return [
            VersionStatus(
                version,
                entry.state,
                tuple(sorted(label for label, labelled in self.labels.items() if labelled == version)),
                entry.error,
            )
            for version, entry in sorted(self._versions.items(), reverse=True)
        ]

    def set_labels(self, labels: Mapping[str, int]) -> None:
        """Points labels at versions; a RequestError (INVALID) if one is not loaded."""
        for label, version in labels.items():
            if not self._is_served(version):
                raise RequestError(
                    Kind.INVALID, f"label {label!r}: version {version} of {self.name!r} is not loaded, so it stays"
                )
        self.settings = replace(self.settings, labels={**self.settings.labels, **labels})
        self._point_labels()

    async def reconfigure(self, settings: ModelSettings) -> None:
        """Serves the versions, and points the labels, that these settings say: a label moves when that one is warm."""
        self.settings = settings
        await self.update()

    async def update(self) -> None:
        """Looks which versions there are, and brings those that are wanted into service; then lets the others go.

        The old ones answer until the new ones are loaded and warm, and go on if one of these cannot be loaded.
        """
        async with self._updating:
            await self._update()

    async def _update(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            traffic = await loop.run_in_executor(None, self._place.traffic)
            existing = await loop.run_in_executor(None, self._place.versions)  # later: it has what traffic names
        except (OSError, PenstockError) as error:
            self._complain(f"{self.settings.path} cannot be read: {error}")
            self.is_settled = True
            return
        self._traffic = traffic if self.settings.versions == Versions() else None
        labelled = {*self._wanted_labels.values()}
        chosen = set() if self._traffic else self.settings.versions.chosen(existing)
        wanted = chosen | labelled & existing.keys()
        absent = self._absent(existing)
        if not wanted:
            self._complain(absent or f"{self.settings.path} holds no version to serve")
            self.is_settled = True
            return  # what is served goes on: the folder may be away for a moment
        self._complain(absent)
        for version in sorted(wanted):
            if self._is_to_load(version, existing[version]):
                await self._load(version, existing[version])
        self._point_labels()
        self.is_settled = True
        if all(self._versions[version].served for version in wanted):
            for version in self._versions.keys() - wanted - {*self.labels.values()}:
                self._unload(version)
        for version in self._versions.keys() - existing.keys():
            if self._versions[version].state is State.END:
                del self._versions[version]

    def _absent(self, existing: Collection[int]) -> str:
        """Returns a sentence on the versions that the settings name and that are not there; "" if all are."""
        absent = [str(version) for version in sorted(self.settings.versions.pinned - {*existing})]
        labels = self._wanted_labels.items()
        absent += [f"{version} (label {label})" for label, version in labels if version not in existing]
        there_are = listed([str(version) for version in sorted(existing, reverse=True)]) or "none"
        return f"{self.settings.path} holds no version {listed(absent)}: there are {there_are}" if absent else ""

    async def close(self) -> None:
        """Ends all versions, after the requests that they have taken."""
        for version in [*self._versions]:
            self._unload(version)
        await asyncio.gather(*self._closing)

    def _point_labels(self) -> None:
        """Points labels at the versions of the settings that are loaded; others stay where they are."""
        before = self.labels
        self.labels = {
            label: version if self._is_served(version) else before.get(label, version)
            for label, version in self._wanted_labels.items()
        }
        for label, version in self.labels.items():
            if self._is_served(version) and before.get(label) != version:
                logger.info("model %s: label %s points at version %d", self.name, label, version)

    def _is_served(self, version: int) -> bool:
        return version in self._versions and self._versions[version].served is not None

    def _is_to_load(self, version: int, tag: str) -> bool:
        """Whether it is not loaded: one that could not be is tried again when its files have changed."""
        entry = self._versions.get(version)
        if entry is None:
            return True
        return entry.state is State.END and (not entry.error or entry.tag != tag)

    def _complain(self, problem: str) -> None:
        if problem and problem != self._problem:
            logger.warning("model %s: %s", self.name, problem)
        self._problem = problem

    async def _load(self, version: int, tag: str) -> None:
        entry = self._versions[version] = _Version(tag, State.LOADING)
        started = time.monotonic()
        logger.info("model %s: loading version %d from %s", self.name, version, self.settings.path)
        try:
            loaded, folder, requests = await asyncio.get_running_loop().run_in_executor(None, self._prepared, version)
        except Exception as error:
            is_expected = isinstance(error, OSError | MemoryError | PenstockError)
            entry.state, entry.error = State.END, str(error) if is_expected else f"{type(error).__name__}: {error}"
            others = listed([str(served.version) for served in self.served]) or "none"
            sentence = "model %s: version %d is not served: %s; served are: %s"
            logger.error(sentence, self.name, version, entry.error, others, exc_info=not is_expected)
            return
        entry.served = ServedVersion(self.name, version, loaded, self._server, self._executor, self._metrics)
        entry.folder, entry.state = folder, State.AVAILABLE
        self._switch()
        logger.info(
            "model %s: version %d is served, warmed by %d requests, after %.2f s",
            self.name, version, requests, time.monotonic() - started,
        )  # fmt: skip

    def _prepared(self, version: int) -> tuple[loading.LoadedModel, contextlib.ExitStack, int]:
        """Fetches, loads and warms a version, on a thread."""
        with contextlib.ExitStack() as stack:
            started = time.monotonic()
            folder = stack.enter_context(self._place.fetched(version))
            loaded = loading.load(folder)
            loaded_at = time.monotonic()
            try:
                requests = warm_up(loaded, folder)
            except Exception:
                loaded.close()
                raise
            loading.freeze()
            self._metrics.loaded(self.name, version, loaded_at - started, time.monotonic() - loaded_at)
            return loaded, stack.pop_all(), requests

    def _switch(self) -> None:
        """Lets requests without a version go to the newest that is loaded."""
        self._newest = next(iter(self.served), None)

    def _unload(self, version: int) -> None:
        entry = self._versions[version]
        if not entry.served:
            return
        served, entry.served, entry.state = entry.served, None, State.UNLOADING
        self._switch()
        task = asyncio.get_running_loop().create_task(self._end(version, served, entry))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _end(self, version: int, served: ServedVersion, entry: _Version) -> None:
        await served.close()
        if entry.folder:
            entry.folder.close()
        entry.state = State.END
        self._metrics.unloaded(self.name, version)
        logger.info("model %s: version %d is unloaded", self.name, version)

"""All models of the server: found by name, and kept up to date while the server runs."""

import asyncio
import concurrent.futures
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from penstock.components.model_server.inference import Kind, RequestError, Target, VersionStatus
from penstock.components.model_server.models.model import ServedModel
from penstock.components.model_server.models.version import ServedVersion
from penstock.components.model_server.operation.metrics import Metrics
from penstock.components.model_server.settings import ModelSettings, ServerSettings, read_models
from penstock.core.errors import ConfigError, ModelError
from penstock.core.files import object_stores
from penstock.core.suggestions import did_you_mean, listed

_REMOTE = 30.0  # seconds between two listings of a bucket
logger = logging.getLogger(__name__)


class ServedModels:
    """The models of the server: what inference.Models promises, and their life."""

    def __init__(self, settings: ServerSettings, metrics: Metrics):
        self._settings = settings
        self._metrics = metrics
        workers = settings.batching.parallel
        self._executor = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="penstock-model")
        self._models = {model.name: self._model(model) for model in settings.models}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._file_watch: asyncio.Task[None] | None = None
        self.is_stopping = False

    def _model(self, settings: ModelSettings) -> ServedModel:
        return ServedModel(settings, self._settings, self._executor, self._metrics)

    @property
    def waiting(self) -> int:
        """How many requests wait to be computed."""
        return sum(version.waiting for model in self._models.values() for version in model.served)

    @property
    def names(self) -> Sequence[str]:
        return sorted(self._models)

    @property
    def ready(self) -> bool:
        return not self.is_stopping and all(model.is_ready for model in self._models.values())

    def lease(self, target: Target) -> ServedVersion:
        return self.model(target.model).find(target)

    def status(self, model: str = "") -> Sequence[VersionStatus]:
        return self.model(model).status()

    def set_labels(self, model: str, labels: Mapping[str, int]) -> None:
        self.model(model).set_labels(labels)

    def model(self, name: str = "") -> ServedModel:
        """Returns a model, the only one for ""; a RequestError (NOT_FOUND) if there is no such model."""
        model = self._models.get(name)
        if model is not None:
            return model
        if not name and len(self._models) == 1:
            return next(iter(self._models.values()))
        if not name:
            raise RequestError(Kind.NOT_FOUND, f"expected the name of a model, one of {listed(self.names)}")
        raise RequestError(Kind.NOT_FOUND, f"no model {name!r}; {did_you_mean(name, self.names)}")

    async def start(self) -> None:
        """Loads every model, and begins to watch for new versions; a ModelError if one cannot be served."""
        for model in self._models.values():
            await model.update()
            if not model.is_ready:
                raise ModelError(f"model {model.name!r} cannot be served: {model.error}")
            self._watch(model)
        if self._settings.models_file:
            self._file_watch = asyncio.create_task(self._watch_file(self._settings.models_file))

    async def stop(self) -> None:
        """Ends every model, after the requests that it has taken."""
        self.is_stopping = True
        tasks = [*self._watches.values(), *([self._file_watch] if self._file_watch else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(model.close() for model in self._models.values()))
        self._executor.shutdown()

    async def configure(self, models: Sequence[ModelSettings]) -> None:
        """Serves these models from now on: new ones once they are loaded, and no others.

        A model that cannot be served is logged; the one of its name that was served before goes on.
        """
        for settings in models:
            current = self._models.get(settings.name)
            if current and current.settings.path == settings.path:
                await current.reconfigure(settings)
                continue
            model = self._model(settings)
            await model.update()
            if not model.is_ready:
                logger.error("model %s is not served: %s", model.name, model.error)
                continue
            self._models[settings.name] = model
            self._watch(model)
            if current:
                await current.close()
        for name in self._models.keys() - {settings.name for settings in models}:
            self._watches.pop(name).cancel()
            await self._models.pop(name).close()

    def _watch(self, model: ServedModel) -> None:
        watch = self._watches.get(model.name)
        if watch:
            watch.cancel()
        remote = object_stores.is_remote(model.settings.path)
        interval = max(self._settings.poll, _REMOTE) if remote else self._settings.poll
        self._watches[model.name] = asyncio.create_task(_watch_versions(model, interval))

    async def _watch_file(self, path: Path) -> None:
        """Reads the models' file again whenever it changes."""
        seen = _written(path)
        while True:
            await asyncio.sleep(self._settings.poll)
            if _written(path) == seen:
                continue
            seen = _written(path)
            try:
                models = read_models(path)
            except ConfigError as error:
                logger.error("what was served goes on: %s", error)
                continue
            logger.info("%s has changed", path)
            await self.configure(models)


async def _watch_versions(model: ServedModel, interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        try:
            await model.update()
        except Exception:  # one look at a folder may fail, the watch goes on
            logger.exception("model %s: its versions could not be brought up to date", model.name)


def _written(path: Path) -> int:
    """Returns when a file was written; 0 if it is not there at this moment."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0

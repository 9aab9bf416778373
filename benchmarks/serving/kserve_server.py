"""KServe's own Python server with a model that calls the SavedModel.

python benchmarks/serving/kserve_server.py MODEL PORT
"""

import base64
import sys
from typing import Any

import kserve
from bare import BareModel


class Taxi(kserve.Model):
    def __init__(self, folder: str):
        super().__init__("taxi")
        self._folder = folder

    def load(self) -> bool:
        self._model = BareModel(self._folder)
        self.ready = True
        return True

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        examples = [base64.b64decode(row["b64"]) for row in payload["instances"]]
        return {"predictions": self._model.predict(examples)}


if __name__ == "__main__":
    taxi = Taxi(sys.argv[1])
    taxi.load()
    kserve.ModelServer(http_port=int(sys.argv[2]), enable_grpc=False).start([taxi])

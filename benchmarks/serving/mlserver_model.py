"""MLServer's model that calls the SavedModel: tf.Examples in base64, as an input of type BYTES."""

import base64

from bare import BareModel
from mlserver import MLModel, types


class Taxi(MLModel):
    async def load(self) -> bool:
        self._model = BareModel(self.settings.parameters.uri)
        return True

    async def predict(self, payload: types.InferenceRequest) -> types.InferenceResponse:
        examples = [base64.b64decode(text) for text in payload.inputs[0].data]
        predictions = self._model.predict(examples)
        shape = [len(predictions), len(predictions[0])]
        values = [value for row in predictions for value in row]
        output = types.ResponseOutput(name="outputs", shape=shape, datatype="FP32", data=values)
        return types.InferenceResponse(model_name=self.name, outputs=[output])

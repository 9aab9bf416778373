"""Why a request has no answer. What reads requests without a model, as monitoring does, needs no TensorFlow for it."""

import enum

from penstock.core.text import printable


class Kind(enum.Enum):
    """What is wrong with a request, or why it has no answer. The value is HTTP's status code."""

    INVALID = 400
    UNAUTHORIZED = 401
    NOT_FOUND = 404
    NO_METHOD = 405
    NOT_ACCEPTABLE = 406
    TOO_LARGE = 413
    UNSUPPORTED = 415
    BUSY = 429
    INTERNAL = 500
    NOT_READY = 503
    LATE = 504


class RequestError(Exception):
    """Why a request has no answer: its kind, and one sentence that may be shown to whoever asked."""

    def __init__(self, kind: Kind, sentence: str):
        self.kind = kind
        self.sentence = printable.sentence(sentence)
        super().__init__(self.sentence)

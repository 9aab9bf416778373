"""What it takes to run a model server: metrics, logs, limits, a token, TLS, and a record of what it answered.

`gate.py` (HTTP) and `grpc_gate.py` stand before the protocols and make a `Call` of each request (calls.py). The models
note in it what was asked of them; `observers.py` gives it, once it is answered, to metrics and logs.
"""

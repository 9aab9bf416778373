"""A topic of Apache Kafka as rows: windows of its offsets, each read once.

options.py   what a person says                    client.py     the brokers: what partitions hold, and their failures
windows.py   which offsets a window has            state.py      which windows there were, from run to run
messages.py  reads a window, to its last offset    quarantine.py where values go that cannot be read
values/      what values become                    source.py     all of it, as ExampleGen asks for it
"""

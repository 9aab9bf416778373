"""What `penstock collect` runs: KServe's events of requests and responses, kept as files of a request log.

    events.py     an event, as KServe's logger sends it     server.py     takes events over HTTP until SIGTERM
    journal.py    events on the disk, before they are answered
    pairing.py    requests with their responses             log_files.py  pairs as files, in a folder or a bucket
    collector.py  the thread that does it all               settings.py   what can be set

An event is answered with 200 when it is on the disk: in a journal, a file that is only added to. From time to time the
journal ends: what waits for its other half goes into the next one, all else is written as files of the log, and then
the journal is removed. Whatever is killed at whatever step, the next start goes on from the journals that there are,
and writes the same files once more: their names come from the journal's.
"""

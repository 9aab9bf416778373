"""Seconds that pandas.read_sql takes for a query: PENSTOCK_BENCH_URL and PENSTOCK_BENCH_QUERY name both."""

import os
import time

import pandas as pd
import sqlalchemy

engine = sqlalchemy.create_engine(os.environ["PENSTOCK_BENCH_URL"].replace("postgresql:", "postgresql+psycopg2:", 1))
with engine.connect() as connection:
    before, started = time.process_time(), time.perf_counter()
    rows = pd.read_sql(os.environ["PENSTOCK_BENCH_QUERY"], connection)
    print(len(rows), time.perf_counter() - started, time.process_time() - before)

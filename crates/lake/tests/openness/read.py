"""Reads an event table with another engine and prints what it counted, one JSON object a line, until there is nothing on
standard input: `read.py deltalake|chdb TABLE`."""

import json
import os
import sys

engine, table = sys.argv[1:3]

AGGREGATES = """
    SELECT count(*), sum(class_uid), max(time_ns), count(DISTINCT user_name),
           sum(CASE WHEN src_ip = '10.0.0.3' THEN 1 ELSE 0 END), sum(length(raw))
    FROM {}
"""


def by_deltalake():
    import polars
    from deltalake import DeltaTable

    opened = DeltaTable(table)
    rows = polars.scan_delta(opened)
    column = polars.col
    counted = rows.select(
        polars.len(),
        column("class_uid").sum(),
        column("time_ns").max(),
        column("user_name").n_unique().alias("users"),
        (column("src_ip") == "10.0.0.3").sum(),
        column("raw").bin.size().sum().alias("raw"),
    ).collect()
    return opened.version(), list(counted.row(0))


def by_chdb():
    import chdb

    # It reads files below the working directory only.
    os.chdir(os.path.dirname(table))
    answer = chdb.query(AGGREGATES.format(f"deltaLakeLocal('{table}')"), "JSONCompact")
    return None, [int(value) for value in json.loads(str(answer))["data"][0]]


read = {"deltalake": by_deltalake, "chdb": by_chdb}[engine]
print("ready", flush=True)
for _ in sys.stdin:
    version, counted = read()
    print(json.dumps({"version": version, "counted": counted}), flush=True)

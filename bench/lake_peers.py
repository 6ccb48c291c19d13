"""Asks DuckDB and ClickHouse's engine (chdb) what `wanglou lake bench` asks, on the same Parquet files: one JSON object a
figure. `lake_peers.py EVENTS_FOLDER`; an engine that is not installed is left out, with a word on standard error."""

import glob
import json
import os
import statistics
import sys
import time

RUNS = 5
BEGINNING = 1_780_272_000
DAY = 86_400
folder = os.path.abspath(sys.argv[1])
days = len(glob.glob(f"{folder}/arrival_day=*"))


def between(first, last):
    return f"time_ns >= {(BEGINNING + first * DAY) * 10**9} AND time_ns < {(BEGINNING + last * DAY) * 10**9}"


whole, one_day = between(0, days), between(days // 2, days // 2 + 1)
columns = "time_ns, uid, src_ip, dst_ip, user_name, rest, raw"
newest = "ORDER BY time_ns DESC LIMIT 100"
rare = "198.18.7.77"
queries = {
    "needle: an address": f"SELECT {columns} FROM t WHERE {whole} AND (dst_ip = '{rare}' OR src_ip = '{rare}') {newest}",
    "needle: an absent address": f"SELECT {columns} FROM t WHERE {whole} AND src_ip = '192.0.2.99' {newest}",
    "needle: an absent hash": f"SELECT {columns} FROM t WHERE {whole} AND sha256 = '{'0123456789abcdef' * 4}' {newest}",
    "newest 100 of a user, one day": f"SELECT {columns} FROM t WHERE {one_day} AND (lower(user_name) = 'wangfang' OR lower(actor_user_name) = 'wangfang') {newest}",
    "newest 100 of all": f"SELECT {columns} FROM t WHERE {whole} {newest}",
    "newest 100 of a word in every fiftieth": f"SELECT {columns} FROM t WHERE {whole} AND HAS('登录失败') {newest}",
    "rare word, all hits": f"SELECT {columns} FROM t WHERE {whole} AND HAS('勒索病毒') {newest}",
    "absent word": f"SELECT {columns} FROM t WHERE {whole} AND HAS('zebrafish') {newest}",
    "histogram of the whole time, hourly": f"SELECT intDiv(time_ns - {BEGINNING * 10**9}, 3600000000000) AS hour, count(*) FROM t WHERE {whole} GROUP BY hour",
    "top 10 source addresses, one day": f"SELECT src_ip, count(*) AS n FROM t WHERE {one_day} GROUP BY src_ip ORDER BY n DESC LIMIT 10",
    "top 10 users, whole time": f"SELECT user_name, count(*) AS n FROM t WHERE {whole} GROUP BY user_name ORDER BY n DESC LIMIT 10",
}


def listed():
    """The files of the table now: what merges have replaced still lies beside them."""
    files = set()
    for entry in sorted(glob.glob(f"{folder}/_delta_log/*.json")):
        for line in open(entry, encoding="utf-8"):
            action = json.loads(line)
            if "add" in action:
                files.add(action["add"]["path"])
            if "remove" in action:
                files.discard(action["remove"]["path"])
    return sorted(files)


def measure(engine, ask):
    for name, query in queries.items():
        took = []
        for _ in range(RUNS):
            start = time.monotonic()
            ask(query)
            took.append((time.monotonic() - start) * 1000)
        print(json.dumps({"engine": engine, "name": name, "value": statistics.median(took)}), flush=True)


def duckdb_engine():
    import duckdb

    connection = duckdb.connect()
    connection.sql("SET threads = 2")
    files = [os.path.join(folder, path) for path in listed()]

    def ask(query):
        query = query.replace("intDiv(", "divide(").replace("HAS(", "contains(decode(raw), ")
        connection.sql(query.replace("FROM t ", f"FROM read_parquet({files}, hive_partitioning = false) ")).fetchall()

    return ask


def chdb_engine():
    from chdb import session

    os.chdir(folder)
    files = "{" + ",".join(listed()) + "}"
    opened = session.Session()

    def ask(query):
        query = query.replace("HAS(", "0 < position(raw, ")
        opened.query(query.replace("FROM t ", f"FROM file('{files}', Parquet) ") + " SETTINGS max_threads = 2", "JSONCompact")

    return ask


for engine, make in [("DuckDB", duckdb_engine), ("chdb", chdb_engine)]:
    try:
        measure(engine, make())
    except Exception as error:
        print(f"skipped: {engine}: {error}", file=sys.stderr)

"""Runs Sigma rules over flat events with pySigma's SQLite backend, as a second opinion on the engine.

Reads a JSON object from standard input: {"rules": [{"id", "text"}], "events": [{field: value}]}. Writes one line a
verdict: `match ID EVENT` or `unconverted ID REASON`. A column has numeric affinity and compares without regard to
case, as Sigma does; the column `fulltext` holds all values of an event, for keywords.
"""

import json
import re
import sqlite3
import sys

from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

FULLTEXT = "fulltext"


def fields(detection):
    for item in detection.detection_items:
        if hasattr(item, "detection_items"):
            yield from fields(item)
        else:
            if item.field:
                yield item.field
            for value in item.value:
                if type(value).__name__ == "SigmaFieldReference":
                    yield value.field


def main():
    task = json.load(sys.stdin)
    parsed = []
    columns = {key for event in task["events"] for key in event}
    for rule in task["rules"]:
        try:
            collection = SigmaCollection.from_yaml(rule["text"])
            sigma = collection.rules[0]
            for detection in sigma.detection.detections.values():
                columns.update(fields(detection))
            parsed.append((rule["id"], sigma))
        except Exception as error:
            print("unconverted", rule["id"], type(error).__name__, sep="\t")
    names = {}
    for column in sorted(columns):
        names.setdefault(column.lower(), column)
    database = sqlite3.connect(":memory:")
    expressions = {}

    def regexp(pattern, value):
        if value is None:
            return False
        if pattern not in expressions:
            expressions[pattern] = re.compile(pattern)
        return expressions[pattern].search(str(value)) is not None

    database.create_function("REGEXP", 2, regexp)
    # SQLite has few columns a table by default; each rule gets a table of its own columns.
    backend = sqliteBackend(fulltext_field=FULLTEXT)
    for name, sigma in parsed:
        try:
            queries = backend.convert_rule(sigma)
        except Exception as error:
            print("unconverted", name, type(error).__name__, sep="\t")
            continue
        wanted = sorted({field for detection in sigma.detection.detections.values() for field in fields(detection)})
        own = []
        for field in wanted:
            if field.lower() not in {other.lower() for other in own}:
                own.append(field)
        declared = ", ".join(f'"{field}" NUMERIC COLLATE NOCASE' for field in own + [FULLTEXT])
        try:
            database.execute("DROP TABLE IF EXISTS logs")
            database.execute(f'CREATE TABLE logs (number INTEGER, {declared})')
            for number, event in enumerate(task["events"]):
                values = [event.get(field) for field in own] + ["\n".join(str(v) for v in event.values())]
                database.execute(f"INSERT INTO logs VALUES ({', '.join('?' * (len(values) + 1))})", [number] + values)
            found = set()
            for query in queries:
                found.update(row[0] for row in database.execute(query.replace("SELECT *", "SELECT number", 1)))
        except Exception as error:
            print("unconverted", name, f"{type(error).__name__}", sep="\t")
            continue
        for number in sorted(found):
            print("match", name, number, sep="\t")


main()

"""Asks DuckDB the questions of a file over Parquet files; see run.

    duck.py DATA QUERIES ANSWERS RUNS [NAME …]
"""

import csv
import datetime
import json
import pathlib
import sys
import time

import duckdb


def statements(text):
    for part in text.split("-- ")[1:]:
        head, statement = part.split("\n", 1)
        yield head.split(":", 1)[0], statement.strip().rstrip(";")


def cell(value):
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return str(value)


def main():
    data, queries, answers, runs, *names = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute("SET memory_limit = '6GB'")
    for table in ("page_rows", "order_lines"):
        connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{data}/{table}/*.parquet')")
    for name, statement in statements(pathlib.Path(queries).read_text()):
        if names and name not in names:
            continue
        times_ms, rows = [], []
        for _ in range(int(runs)):
            start = time.perf_counter()
            # No answer has more than a hundred rows or so, so that making values
            # of Python of them takes no time to speak of.
            relation = connection.execute(statement)
            columns = [column[0] for column in relation.description]
            rows = relation.fetchall()
            times_ms.append((time.perf_counter() - start) * 1e3)
        with open(pathlib.Path(answers) / f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([cell(value) for value in row] for row in rows)
        print(json.dumps({"name": name, "times_ms": times_ms}), flush=True)


main()

"""Writes the rows of generate.sql as Parquet, a file for each day.

    generate.py FOLDER SCALE
"""

import pathlib
import sys

import duckdb

PAGES, LINES, DAYS = 50_000_000, 10_000_000, 14


def main():
    folder, scale = pathlib.Path(sys.argv[1]), float(sys.argv[2])
    pages, lines = (int(rows * scale / 100) for rows in (PAGES, LINES))
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    text = (pathlib.Path(__file__).parent / "generate.sql").read_text()
    connection.execute(text.replace("$pages", str(pages)).replace("$lines", str(lines)))
    for table, rows in (("page_rows", pages), ("order_lines", lines)):
        (folder / table).mkdir(parents=True)
        for day in range(DAYS):
            # Rows lie by their numbers: a day is a range of them.
            first, end = rows * day // DAYS, rows * (day + 1) // DAYS
            query = f"FROM {table}({first}, {end})"
            file = folder / table / f"day-{day + 1:02}.parquet"
            connection.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet, COMPRESSION snappy)")


main()

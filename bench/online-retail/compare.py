"""Whether both engines gave the same rows, in every view and the table itself.

    compare.py SLUICE STATE DATABASE MODELS
"""

import json
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import duckdb


def sluice_rows(program, state, view, columns):
    command = [program, "sql", "--state", state, "--format", "json"]
    answer = subprocess.run(
        [*command, f"SELECT {', '.join(columns)} FROM {view}"], check=True, stdout=subprocess.PIPE
    ).stdout
    rows = json.loads(answer, parse_float=Decimal)
    return Counter(tuple(row[column] for column in columns) for row in rows)


def rival_rows(connection, view, described):
    """Instants and dates as Sluice writes them; numbers are compared as numbers."""
    forms = {"TIMESTAMP WITH TIME ZONE": "%Y-%m-%dT%H:%M:%SZ", "DATE": "%Y-%m-%d"}
    columns = [
        f"strftime({name}{' AT TIME ZONE ' + repr('UTC') if 'ZONE' in kind else ''}, '{forms[kind]}')"
        if kind in forms
        else name
        for name, kind in described
    ]
    return Counter(connection.execute(f"SELECT {', '.join(columns)} FROM {view}").fetchall())


def main():
    program, state, database, models = sys.argv[1:]
    connection = duckdb.connect(database, read_only=True)
    connection.execute("SET TimeZone = 'UTC'")
    differing = []
    views = ["invoice_line"] + sorted(path.stem for path in Path(models).glob("**/*.sql"))
    for view in views:
        described = [row[:2] for row in connection.execute(f"DESCRIBE {view}").fetchall()]
        ours = sluice_rows(program, state, view, [name for name, _ in described])
        theirs = rival_rows(connection, view, described)
        if ours != theirs:
            differing.append(view)
            print(f"{view} differs, in {(ours - theirs).total()} rows of Sluice's and"
                  f" {(theirs - ours).total()} of DuckDB's, such as", file=sys.stderr)
            for side, rows in (("Sluice", ours - theirs), ("DuckDB", theirs - ours)):
                for row in list(rows)[:3]:
                    print(f"  {side}: {row}", file=sys.stderr)
    if differing:
        sys.exit(f"the engines disagree about {', '.join(differing)}")
    print(f"{len(views)} tables and views equal, row by row")


if __name__ == "__main__":
    main()

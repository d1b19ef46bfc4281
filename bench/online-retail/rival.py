"""The rival: DuckDB loads the same CSV files and computes the same models.

    rival.py load MODELS INPUT DATABASE THREADS     once, then ends
    rival.py follow MODELS INPUT DATABASE THREADS   then a path a line on stdin:
                                                    every view is computed again
    rival.py ask MODELS INPUT DATABASE THREADS      the same, but nothing is kept
                                                    and one small view is asked

The SQL is the text of the models themselves, so that nobody has to believe that
two versions say the same. `adapt` has the few words that DuckDB says otherwise.
"""

import json
import re
import sys
import time
from pathlib import Path

import duckdb

TIME_ZONE = "Europe/London"

# The columns of sources/online_retail.toml: exact decimals, spaces cut, empty
# text missing, the shop's clock turned into an instant.
ROWS = """
SELECT
  trim(InvoiceNo) AS invoice_no,
  trim(StockCode) AS stock_code,
  nullif(trim(Description), '') AS description,
  Quantity AS quantity,
  InvoiceDate AT TIME ZONE '{zone}' AS invoice_time,
  UnitPrice AS unit_price,
  CAST(CustomerID AS BIGINT) AS customer_id,
  trim(Country) AS country
FROM read_csv('{files}', auto_detect = false, delim = ',', quote = '"', escape = '"', header = true, columns = {{
  'InvoiceNo': 'VARCHAR', 'StockCode': 'VARCHAR', 'Description': 'VARCHAR',
  'Quantity': 'BIGINT', 'InvoiceDate': 'TIMESTAMP', 'UnitPrice': 'DECIMAL(18,3)',
  'CustomerID': 'DECIMAL(18,1)', 'Country': 'VARCHAR'}})
"""


def rows_of(files):
    return ROWS.format(zone=TIME_ZONE, files=str(files).replace("'", "''"))


def adapt(text):
    """A model in DuckDB's words: it computes once, so a table it is."""
    text = text.replace("CREATE MATERIALIZED VIEW", "CREATE OR REPLACE TABLE")
    text = text.replace("CREATE VIEW", "CREATE OR REPLACE VIEW")
    text = text.replace("${time_zone}", TIME_ZONE)
    # PostgreSQL's LIKE escapes with a backslash unasked.
    return re.sub(r"(LIKE '[^']*\\[^']*')", r"\1 ESCAPE '\\'", text)


def models_in_order(folder):
    """(name, SQL) of every model, each after those that it reads."""
    waiting = {path.stem: path.read_text() for path in sorted(Path(folder).glob("**/*.sql"))}
    ordered = []
    while waiting:
        ready = [name for name, text in waiting.items() if not reads_any(text, set(waiting) - {name})]
        if not ready:
            sys.exit(f"the models read each other in a circle: {', '.join(waiting)}")
        ordered += [(name, adapt(waiting.pop(name))) for name in ready]
    return ordered


def reads_any(text, names):
    code = re.sub(r"--.*", "", text)
    return any(re.search(rf"\b(FROM|JOIN)\s+{name}\b", code, re.IGNORECASE) for name in names)


def open_database(path, threads):
    connection = duckdb.connect(path)
    connection.execute(f"SET threads = {int(threads)}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE OR REPLACE MACRO to_char(value, form) AS strftime(value, form)")
    return connection


def compute(connection, models):
    for name, sql in models:
        try:
            connection.execute(sql)
        except duckdb.Error as error:
            sys.exit(f"DuckDB cannot compute the model {name}: {error}")


def load(connection, models, source):
    started = time.perf_counter()
    connection.execute("CREATE OR REPLACE TABLE invoice_line AS " + rows_of(f"{source}/*.csv"))
    loaded = time.perf_counter()
    compute(connection, models)
    computed = time.perf_counter()
    connection.execute("CHECKPOINT")
    ended = time.perf_counter()
    return {"load": loaded - started, "views": computed - loaded, "checkpoint": ended - computed}


def follow(connection, models):
    """Takes each file in and computes every model again, in one transaction."""
    for line in sys.stdin:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO invoice_line " + rows_of(line.strip()))
        compute(connection, [model for model in models if "CREATE OR REPLACE TABLE" in model[1]])
        connection.execute("COMMIT")
        print("done", flush=True)


def ask(connection, models):
    """Takes each file in and answers one question from the lines themselves."""
    compute(connection, [(name, as_view(name, sql)) for name, sql in models])
    for line in sys.stdin:
        connection.execute("INSERT INTO invoice_line " + rows_of(line.strip()))
        connection.execute("SELECT * FROM totals").fetchall()
        print("done", flush=True)


def as_view(name, sql):
    """The model as a plain view, in the place of the table of its name."""
    if "CREATE OR REPLACE TABLE" not in sql:
        return sql
    return f"DROP TABLE {name};" + sql.replace("CREATE OR REPLACE TABLE", "CREATE VIEW")


def main():
    what, folder, source, database, threads = sys.argv[1:]
    models = models_in_order(folder)
    connection = open_database(database, threads)
    print(json.dumps(load(connection, models, source)), flush=True)
    if what == "follow":
        follow(connection, models)
    elif what == "ask":
        ask(connection, models)
    connection.close()


if __name__ == "__main__":
    main()

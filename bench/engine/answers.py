"""Whether Sluice's answers are those that DuckDB computes from the same files.

Called as: answers.py SLUICE STATE DATA QUERY. A query whose view holds each row
is compared by its count and sums, the others row by row.
"""

import csv
import io
import subprocess
import sys
from decimal import Decimal, InvalidOperation

import duckdb

FILES = {"page_log": "page_log", "order_detail": "order_detail", "sku_info": "sku_info",
         "bid": "nx_bid", "auction": "nx_auction", "person": "nx_person"}  # fmt: skip
COLUMNS = {
    "page_log": "ts BIGINT, user_id BIGINT, device_id VARCHAR, channel VARCHAR, province VARCHAR, version VARCHAR, is_new VARCHAR, during_time BIGINT",
    "order_detail": "id BIGINT, sku_id BIGINT, split_amount DECIMAL(16,2)",
    "sku_info": "sku_id BIGINT, sku_name VARCHAR, category_id INTEGER, category_name VARCHAR",
    "bid": "auction BIGINT, bidder BIGINT, price BIGINT, dateTime BIGINT, extra VARCHAR",
    "auction": "id BIGINT, seller BIGINT, category BIGINT, dateTime BIGINT, expires BIGINT, reserve BIGINT",
    "person": "id BIGINT, name VARCHAR, city VARCHAR, state VARCHAR, dateTime BIGINT",
}
JOINED = "order_detail d JOIN sku_info s ON d.sku_id = s.sku_id"
BIDS = "auction a JOIN bid b ON a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires"
EPOCH = "CAST(date_part('epoch', window_start) AS BIGINT)"

# Query: what is asked of Sluice's view, and the same of the files.
QUESTIONS = {
    "w1": (
        "SELECT count(*), sum(user_id), sum(during_time) FROM w1",
        "SELECT count(*), sum(user_id), sum(during_time) FROM page_log WHERE during_time >= 1000",
    ),
    "w2": (
        "SELECT CAST(date_part('epoch', minute) AS BIGINT), channel, province, version, is_new, pv, uv, during FROM w2",
        "SELECT ts // 60000 * 60, channel, province, version, is_new, count(*), count(DISTINCT device_id), sum(during_time) FROM page_log GROUP BY ALL",
    ),
    "w3": (
        "SELECT category_id, category_name, amount, lines FROM w3",
        f"SELECT category_id, category_name, sum(split_amount), count(*) FROM {JOINED} GROUP BY ALL",
    ),
    "w4": (
        "SELECT category_id, rank, sku_id, sku_name, amount FROM w4",
        f"""SELECT category_id, row_number() OVER (PARTITION BY category_id ORDER BY amount DESC, sku_id) AS rank, sku_id, sku_name, amount
            FROM (SELECT category_id, d.sku_id, sku_name, sum(split_amount) AS amount FROM {JOINED} GROUP BY ALL) QUALIFY rank <= 10""",
    ),
    "q0": (
        "SELECT count(*), sum(auction), sum(bidder), sum(price) FROM q0",
        "SELECT count(*), sum(auction), sum(bidder), sum(price) FROM bid",
    ),
    "q1": (
        "SELECT count(*), sum(auction), sum(price) FROM q1",
        "SELECT count(*), sum(auction), sum(0.908 * price) FROM bid",
    ),
    "q2": (
        "SELECT count(*), sum(auction), sum(price) FROM q2",
        "SELECT count(*), sum(auction), sum(price) FROM bid WHERE auction % 123 = 0",
    ),
    "q3": (
        "SELECT name, city, state, id FROM q3",
        "SELECT name, city, state, a.id FROM auction a JOIN person p ON seller = p.id WHERE category = 10 AND state IN ('OR', 'ID', 'CA')",
    ),
    "q4": (
        "SELECT category, round(CAST(final AS DOUBLE), 3) FROM q4",
        f"SELECT category, round(avg(final), 3) FROM (SELECT max(price) AS final, category FROM {BIDS} GROUP BY a.id, category) GROUP BY ALL",
    ),
    "q5": (
        f"SELECT auction, num, {EPOCH} FROM q5",
        """WITH counts AS (SELECT auction, count(*) AS num, start FROM
             (SELECT auction, unnest([dateTime // 2000 * 2 - 2 * i for i in range(5)]) AS start FROM bid) GROUP BY ALL)
           SELECT auction, num, start FROM counts QUALIFY num = max(num) OVER (PARTITION BY start)""",
    ),
    "q7": (
        "SELECT auction, bidder, price, extra FROM q7",
        "SELECT auction, bidder, price, extra FROM bid QUALIFY price = max(price) OVER (PARTITION BY dateTime // 10000)",
    ),
    "q8": (
        f"SELECT id, name, {EPOCH} FROM q8",
        "SELECT DISTINCT p.id, name, p.dateTime // 10000 * 10 FROM person p JOIN auction a ON p.id = seller AND p.dateTime // 10000 = a.dateTime // 10000",
    ),
    "q9": (
        "SELECT id, reserve, bidder, price, bid_extra FROM q9",
        f"SELECT a.id, reserve, bidder, price, b.extra FROM {BIDS} QUALIFY row_number() OVER (PARTITION BY a.id ORDER BY price DESC, b.dateTime) = 1",
    ),
}


def plain(value):
    """Numbers as numbers: how many zeros are written behind the point differs."""
    try:
        return str(Decimal(str(value)).normalize())
    except InvalidOperation:
        return str(value)


def main(sluice, state, data, query):
    of_view, of_files = QUESTIONS[query]
    command = [sluice, "sql", "--state", state, "--format", "csv", of_view]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = sorted(tuple(map(plain, row)) for row in list(csv.reader(io.StringIO(answer)))[1:])
    connection = duckdb.connect()
    for table, columns in COLUMNS.items():
        pairs = (column.split(" ", 1) for column in columns.split(", "))
        types = ", ".join(f"{name}: '{kind}'" for name, kind in pairs)
        connection.execute(
            f"CREATE VIEW {table} AS SELECT * FROM read_json('{data}/{FILES[table]}_1/*.json', format='newline_delimited', columns={{{types}}})"
        )
    rows = connection.execute(of_files).fetchall()
    expected = sorted(tuple(map(plain, row)) for row in rows)
    if found != expected:
        differing = [pair for pair in zip(found, expected) if pair[0] != pair[1]]
        sys.exit(f"{query}: {len(found)} rows, expected {len(expected)}; first difference: {differing[:1]}")
    print(f"{query}: {len(found)} rows, all as expected")


if __name__ == "__main__":
    main(*sys.argv[1:])

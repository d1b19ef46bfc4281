"""psycopg against a warehouse: simple, prepared, binary, server-side cursors,
COPY, cancel. Ends with an error where an answer is not what it should be."""
import datetime
import sys
import uuid
from decimal import Decimal

import psycopg

DSN = sys.argv[1]


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


with psycopg.connect(DSN, autocommit=True) as connection:
    same(connection.info.parameter_status("default_transaction_read_only"), "on")
    same(connection.execute("SELECT id, name FROM item ORDER BY id LIMIT 2").fetchall(), [(1, "name 1"), (2, None)])
    # Values travel beside the statement.
    for hostile in ["x' OR '1'='1", "'; SELECT 1 --", "\\", "名"]:
        same(connection.execute("SELECT count(*) FROM item WHERE name = %s", (hostile,)).fetchone(), (0,))
    same(connection.execute("SELECT name FROM item WHERE id = %s", (3,), prepare=True).fetchone(), ("name 3",))
    for number in range(3, 20):
        row = connection.execute("SELECT id FROM item WHERE id = %s", (number,)).fetchone()
        same(row, (number,))
    for binary in [False, True]:
        with connection.cursor(binary=binary) as cursor:
            row = cursor.execute("SELECT id, price, sold_on, sold_at, is_new, weight, name FROM item WHERE id = %s", (1,)).fetchone()
            same(row[0], 1)
            same(str(row[1]), "10.50")
            same(row[2].isoformat(), "2026-11-01")
            same(row[3].timestamp(), 1793491200.0)
            same(row[4], True)
            same(row[5], 1.5)
            same(row[6], "name 1")
    with connection.cursor() as cursor:
        with cursor.copy("COPY (SELECT id, name FROM item WHERE id < 4 ORDER BY id) TO STDOUT") as copy:
            same(list(copy.rows()), [("1", "name 1"), ("2", None), ("3", "name 3")])
        with cursor.copy("COPY (SELECT id FROM item WHERE id < 4 ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int8"])
            same(list(copy.rows()), [(1,), (2,), (3,)])
    try:
        connection.execute("SELECT nothing FROM item")
        raise AssertionError("an unknown column is an error")
    except psycopg.errors.UndefinedColumn:
        pass
    try:
        connection.execute("SELECT 1 FROM nothing")
        raise AssertionError("an unknown table is an error")
    except psycopg.errors.UndefinedTable:
        pass
    try:
        connection.execute("CREATE TABLE t (n int)")
        raise AssertionError("the warehouse is read only")
    except psycopg.errors.ReadOnlySqlTransaction:
        pass

with psycopg.connect(DSN) as connection:
    for binary in [False, True]:
        with connection.cursor("portions", binary=binary) as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT id FROM item WHERE id <= %s ORDER BY id", (50,))
            same(cursor.description[0].name, "id")
            same([row[0] for row in cursor], list(range(1, 51)))
    with connection.cursor("first") as one, connection.cursor("second") as other:
        one.execute("SELECT id FROM item ORDER BY id")
        other.execute("SELECT id FROM item ORDER BY id DESC")
        same(one.fetchmany(2), [(1,), (2,)])
        same(other.fetchone(), (1000,))
        same(one.fetchone(), (3,))
        same(len(one.fetchall()), 997)
    connection.rollback()
    try:
        connection.execute("SELECT nothing")
    except psycopg.Error:
        pass
    same(connection.info.transaction_status.name, "INERROR")
    connection.rollback()
    same(connection.execute("SELECT 1").fetchone(), (1,))
# A session's time zone: as it begins, as it is set, in both formats.
with psycopg.connect(DSN, autocommit=True, options="-c timezone=America/New_York") as connection:
    ZONED = "SELECT sold_at, sold_at::date, sold_at::text FROM item WHERE id = %s"
    for zone, day in [(None, "2026-10-31"), ("Asia/Tokyo", "2026-11-01")]:
        if zone is not None:
            connection.execute(f"SET TIME ZONE '{zone}'")
        same(connection.info.parameter_status("TimeZone"), zone or "America/New_York")
        same(connection.execute("SHOW timezone").fetchone(), (zone or "America/New_York",))
        for binary in [False, True]:
            with connection.cursor(binary=binary) as cursor:
                row = cursor.execute(ZONED, (1,)).fetchone()
                same(row[0].timestamp(), 1793491200.0)
                same(row[1].isoformat(), day)
    connection.execute("RESET ALL")
    same(connection.info.parameter_status("TimeZone"), "America/New_York")
    try:
        connection.execute("SELECT max(id) * 9223372036854775807 FROM item")
        raise AssertionError("what does not fit is an error")
    except psycopg.errors.NumericValueOutOfRange:
        pass


def check_parameters(connection, style):
    """A value is of the type that Python says, as text and in the binary format."""
    moment = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
    local = datetime.datetime(2026, 11, 1, 0, 0)
    day = datetime.date(2026, 11, 1)
    span = datetime.timedelta(days=-1, hours=2, microseconds=5)

    def answer(sql, *values):
        return connection.execute(sql.replace("%s", style), values).fetchone()[0]

    for condition, value, count in [
        ("sold_on = ANY(%s)", [day], 1000),
        ("sold_on = ANY(%s)", [], 0),
        ("sold_on <> ALL(%s)", [day, None], 0),
        ("sold_at = ANY(%s)", [moment], 1000),
        ("sold_at = ANY(%s)", [local], 1000),
        ("sold_at = ANY(%s)", [day], 1000),
        ("sold_at::date = ANY(%s::date[])", [day], 1000),
        ("price = ANY(%s)", [Decimal("10.5"), Decimal("11.50"), None], 2),
        ("is_new = ANY(%s)", [True], 500),
        ("weight = ANY(%s)", [1.5, 3.0], 2),
        ("id = ANY(%s)", [1, 2, 2**40], 2),
        ("id = ANY(%s)", [], 0),
        ("id <> ALL(%s)", [], 1000),
        ("id = ANY(%s)", None, 0),
        ("name = ANY(%s)", ["name 1", "a,b", 'q"', "\\", None], 1),
        ("price > %s", 10, 1000),
        ("price > %s", 10.5, 999),
        ("price > %s", Decimal("10.504"), 999),
        ("price = %s", Decimal("10.504"), 0),
        ("price < %s", Decimal("1E+30"), 1000),
        ("id = %s", Decimal("3.5"), 0),
        ("id > %s", 3.5, 997),
        ("id < %s", 2**70, 1000),
        ("id < %s", float("inf"), 1000),
        ("weight < %s", float("nan"), 1000),
        ("sold_at >= %s", day, 1000),
        ("sold_at = %s", local, 1000),
        ("sold_at::timestamp = %s", moment, 1000),
        ("sold_on >= %s", moment, 1000),
        ("sold_at > now() - %s", datetime.timedelta(days=36500), 1000),
        ("name = %s", uuid.UUID(int=5), 0),
        ("name = %s", "it''s", 0),
        ("name IS NOT DISTINCT FROM %s", None, 1),
    ]:
        found = answer(f"SELECT count(*) FROM item WHERE {condition}", value)
        assert found == count, f"{condition} {value!r} {style}: {found} is not {count}"
    for expression, value, expected in [
        ("sold_at + %s", span, moment + span),
        ("%s + sold_at", span, moment + span),
        ("sold_at - %s", span, moment - span),
        ("sold_at - %s", moment, datetime.timedelta(0)),
        ("sold_at + %s", None, None),
        ("(sold_at AT TIME ZONE %s)::date", "America/New_York", datetime.date(2026, 10, 31)),
        ("coalesce(%s, name)", None, "name 1"),
        ("%s::date", moment, day),
        ("%s", datetime.timedelta(days=1, hours=2), datetime.timedelta(days=1, hours=2)),
        ("%s", moment, moment),
        ("%s", local, local),
        ("%s", day, day),
        ("%s", [day, None], [day, None]),
        ("%s", Decimal("-1.50"), Decimal("-1.50")),
        ("%s", 7, 7),
        ("%s", True, True),
        ("%s", b"a\x00", b"a\x00"),
        ("%s", "it''s \\'", "it''s \\'"),
        ("%s", None, None),
    ]:
        found = answer(f"SELECT {expression} FROM item WHERE id = 1", value)
        assert found == expected, f"{expression} {value!r} {style}: {found!r}"
    ids = connection.execute(f"SELECT id FROM item ORDER BY id LIMIT {style} OFFSET {style}", (2, 1))
    same(ids.fetchall(), [(2,), (3,)])


with psycopg.connect(DSN, autocommit=True) as connection:
    for style in ["%s", "%b", "%t"]:
        check_parameters(connection, style)
    try:
        connection.execute("SELECT count(*) FROM item WHERE id = ANY(%s)", (list(range(40000)),))
        raise AssertionError("an array has a limit")
    except psycopg.errors.ProgramLimitExceeded:
        pass

# What a pipeline holds is one transaction.
with psycopg.connect(DSN, autocommit=True) as connection:
    if psycopg.Pipeline.is_supported():
        with connection.pipeline():
            counted = connection.execute("SELECT count(*) FROM item")
            connection.execute("SET TIME ZONE 'Asia/Tokyo'")
        same(counted.fetchone(), (1000,))
        same(connection.execute("SHOW timezone").fetchone(), ("Asia/Tokyo",))
        try:
            with connection.pipeline():
                connection.execute("SET TIME ZONE 'Asia/Kolkata'")
                connection.execute("SELECT nothing FROM item")
                connection.execute("SELECT 1")
            raise AssertionError("an unknown column is an error")
        except psycopg.errors.UndefinedColumn:
            pass
        same(connection.execute("SHOW timezone").fetchone(), ("Asia/Tokyo",))
    # A transaction within another takes back what it has set.
    with connection.transaction():
        connection.execute("SET TIME ZONE 'Asia/Kolkata'")
        with connection.transaction() as inner:
            connection.execute("SET TIME ZONE 'UTC'")
            raise psycopg.Rollback(inner)
        same(connection.execute("SHOW timezone").fetchone(), ("Asia/Kolkata",))
    # What ROLLBACK forgets can be asked again.
    connection.execute("SELECT 1", prepare=True)
    connection.execute("DEALLOCATE ALL")
    VALUES = [
        ("CAST('1234567890123456789012345678901.1234567' AS DECIMAL(38, 7))", Decimal("1234567890123456789012345678901.1234567")),
        ("make_array(CAST(1.5 AS DECIMAL(38, 2)), NULL)", [Decimal("1.50"), None]),
        ("make_array(make_array(1, 2), make_array(3, NULL))", [[1, 2], [3, None]]),
        ("map(make_array('a', 'b'), make_array(1, NULL))", {"a": 1, "b": None}),
        ("arrow_cast(90, 'Duration(Second)')", datetime.timedelta(seconds=90)),
        ("arrow_cast(1.5, 'Float16')", 1.5),
        ("TIME '08:10:00'", datetime.time(8, 10)),
    ]
    for binary in [False, True]:
        with connection.cursor(binary=binary) as cursor:
            for expression, expected in VALUES:
                row = cursor.execute(f"SELECT {expression} AS x FROM item WHERE id = 1").fetchone()
                same(row, (expected,))
print("done")

"""SQLAlchemy and pandas against a warehouse: transactions within transactions,
what tables are there and of what, rows. Ends with an error where an answer is
not what it should be."""
import sys

import pandas
import sqlalchemy
from sqlalchemy import MetaData, Table, func, inspect, select, text

engine = sqlalchemy.create_engine(sys.argv[1])


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


inspector = inspect(engine)
names = inspector.get_table_names()
assert "item" in names and "by_day" in names, names
views = inspector.get_view_names()
assert "new_items" in views and "item" not in views, views
assert "SELECT id, name FROM item" in inspector.get_view_definition("new_items")
assert "public" in inspector.get_schema_names()
same(inspector.default_schema_name, "public")
same(inspector.has_table("item"), True)
same(inspector.has_table("nothing"), False)
columns = {column["name"]: column for column in inspector.get_columns("item")}
same(list(columns)[:3], ["id", "name", "price"])
same(str(columns["id"]["type"]), "BIGINT")
same(str(columns["price"]["type"]), "NUMERIC(18, 2)")
same(str(columns["sold_on"]["type"]), "DATE")
same(str(columns["is_new"]["type"]), "BOOLEAN")
same(str(columns["weight"]["type"]), "DOUBLE PRECISION")
same(columns["sold_at"]["type"].timezone, True)
same(columns["name"]["comment"], "Name on the label")
same(inspector.get_pk_constraint("item")["constrained_columns"], [])
same(inspector.get_foreign_keys("item"), [])
same(inspector.get_indexes("item"), [])
same(inspector.get_unique_constraints("item"), [])
same(inspector.get_check_constraints("item"), [])
assert "What was sold on it" in inspector.get_table_comment("by_day")["text"]

metadata = MetaData()
metadata.reflect(engine, views=True)
assert {"item", "by_day", "new_items"} <= set(metadata.tables), metadata.tables.keys()
item = Table("item", MetaData(), autoload_with=engine)

with engine.connect() as connection:
    same(connection.execute(select(func.count()).select_from(item)).scalar(), 1000)
    names = connection.execute(select(item.c.name).where(item.c.id.in_([1, 3])).order_by(item.c.id))
    same(names.scalars().all(), ["name 1", "name 3"])
    with connection.begin_nested():
        same(connection.execute(text("SELECT 1")).scalar(), 1)
    try:
        with connection.begin_nested():
            connection.execute(text("SELECT nothing FROM item"))
        raise AssertionError("an unknown column is an error")
    except sqlalchemy.exc.ProgrammingError:
        pass
    # What failed is taken back, and the transaction goes on.
    same(connection.execute(text("SELECT 2")).scalar(), 2)
    connection.rollback()

rows = pandas.read_sql("SELECT id, price FROM item WHERE id <= 3 ORDER BY id", engine)
same(rows["id"].tolist(), [1, 2, 3])
rows = pandas.read_sql_table("item", engine)
same(len(rows), 1000)
rows = pandas.read_sql(text("SELECT name FROM item WHERE id = :id"), engine, params={"id": 1})
same(rows["name"].tolist(), ["name 1"])
print("done")

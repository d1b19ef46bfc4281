"""SQLAlchemy against a warehouse: reflects every table and asks it."""
import sys

from sqlalchemy import MetaData, create_engine, func, inspect, select

engine = create_engine(sys.argv[1])
inspector = inspect(engine)
names = inspector.get_table_names()
assert {"item", "by_day"} <= set(names) | set(inspector.get_materialized_view_names()), names
assert "new_items" in inspector.get_view_names(), inspector.get_view_names()
for name in names:
    columns = inspector.get_columns(name)
    assert columns, name
types = {column["name"]: str(column["type"]) for column in inspector.get_columns("item")}
assert types["id"] == "BIGINT", types
assert types["price"].startswith("NUMERIC"), types
assert types["sold_on"] == "DATE", types
assert types["sold_at"] == "TIMESTAMP", types
assert types["is_new"] == "BOOLEAN", types
assert types["weight"] == "DOUBLE PRECISION", types
metadata = MetaData()
metadata.reflect(engine, only=["item"])
item = metadata.tables["item"]
with engine.connect() as connection:
    query = select(func.count(), func.sum(item.c.price)).where(item.c.id <= 10, item.c.is_new)
    count, total = connection.execute(query).one()
    assert (count, str(total)) == (5, "72.50"), (count, total)
    rows = connection.execution_options(stream_results=True, max_row_buffer=10).execute(select(item.c.id))
    assert sum(1 for _ in rows) == 1000
print("done")

"""Reads a telemetry file with pyarrow and with DuckDB, and holds both against what the file says of itself."""

import sys

import duckdb
import pyarrow.parquet

path = sys.argv[1]
table = pyarrow.parquet.read_table(path)
file = pyarrow.parquet.ParquetFile(path)
facts = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
assert facts["kiln.source"].startswith("SIMULATED"), facts
assert facts["unit:power"] == "W" and facts["unit:temp.gpu"] == "°C", facts

query = duckdb.sql(f"SELECT * FROM read_parquet('{path}')")
assert query.columns == table.column_names, (query.columns, table.column_names)
rows = duckdb.sql(f"SELECT count(*) FROM read_parquet('{path}')").fetchall()[0][0]
assert rows == table.num_rows > 100, (rows, table.num_rows)

compared = 0
for name in table.column_names:
    column = table.column(name)
    filled = len(column) - column.null_count
    seen = duckdb.sql(f"""SELECT count("{name}"), min("{name}"), max("{name}") FROM read_parquet('{path}')""").fetchall()[0]
    assert seen[0] == filled, (name, seen[0], filled)
    if filled and pyarrow.types.is_floating(column.type):
        ends = pyarrow.compute.min_max(column).as_py()
        assert (ends["min"], ends["max"]) == (seen[1], seen[2]), (name, ends, seen)
        compared += 1
assert compared >= 5, f"only {compared} columns of readings"

by_gpu = duckdb.sql(f"""SELECT gpu, count(*), count("temp.gpu"), max("temp.gpu") FROM read_parquet('{path}') GROUP BY gpu ORDER BY gpu""").fetchall()
assert [gpu for gpu, *_ in by_gpu] == list(range(8)), by_gpu
print(f"{rows} rows, {len(table.column_names)} columns, {compared} compared: pyarrow {pyarrow.__version__} and DuckDB {duckdb.__version__} agree")

"""Reads a telemetry file with pyarrow, DuckDB and polars, and holds them against each other and what the file says of itself."""

import sys

import duckdb
import polars
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

frame = polars.read_parquet(path)
assert frame.columns == table.column_names and frame.height == rows, (frame.columns, frame.height)
# A total to the millijoule: the same number in all of them, and no float.
assert str(table.column("energy").type) == "decimal128(18, 3)", table.column("energy").type

compared = 0
for name in table.column_names:
    column = table.column(name)
    filled = len(column) - column.null_count
    seen = duckdb.sql(f"""SELECT count("{name}"), min("{name}"), max("{name}") FROM read_parquet('{path}')""").fetchall()[0]
    assert seen[0] == filled == frame[name].count(), (name, seen[0], filled, frame[name].count())
    if filled and (pyarrow.types.is_floating(column.type) or pyarrow.types.is_decimal(column.type)):
        ends = pyarrow.compute.min_max(column).as_py()
        assert (ends["min"], ends["max"]) == (seen[1], seen[2]), (name, ends, seen)
        assert (ends["min"], ends["max"]) == (frame[name].min(), frame[name].max()), (name, ends)
        compared += 1
assert compared >= 5, f"only {compared} columns of readings"

by_gpu = duckdb.sql(f"""SELECT gpu, count(*), count("temp.gpu"), max("temp.gpu") FROM read_parquet('{path}') GROUP BY gpu ORDER BY gpu""").fetchall()
assert [gpu for gpu, *_ in by_gpu] == list(range(8)), by_gpu
print(f"{rows} rows, {len(table.column_names)} columns, {compared} compared: pyarrow {pyarrow.__version__}, DuckDB {duckdb.__version__} and polars {polars.__version__} agree")

"""Event tables in files: named columns of numbers, read and written in blocks of rows."""

from compress_mpi.io.tables.opening import open_table
from compress_mpi.io.tables.several import open_tables, table_files
from compress_mpi.io.tables.table import EventTable, Rows, TableColumn
from compress_mpi.io.tables.writing import write_table

__all__ = ["EventTable", "Rows", "TableColumn", "open_table", "open_tables", "table_files", "write_table"]

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
"""Parquet in and out, with types: the only file of this room that speaks to pyarrow.

In: rows as plain values, or files. Out: files whose bytes depend on the rows alone, or rows a few at a time. What is written to be read in
pieces soon after goes into blocks (Arrow's IPC format): the end of a Parquet file describes every column of every row group, and
reading one of hundreds means reading that.
"""

import contextlib
import io
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import storage_errors

Row = Mapping[str, object]
ColumnKind = Literal["text", "number", "count", "flag", "digest", "row", "metadata"]
BATCH_ROWS = 64
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # the others keep for long what has been freed


class TableError(Exception):
    """A file that is no readable Parquet, in one line."""


def column_names(source: Path | BinaryIO) -> list[str]:
    """Names of the columns of a Parquet file.

    Raises TableError when it is none.
    """
    with _table_errors():
        import pyarrow.parquet as pq

        return cast("list[str]", pq.read_schema(source).names)


def row_groups(source: Path | BinaryIO) -> list[tuple[int, int]]:
    """(rows, bytes) of every row group.

    Raises TableError when the file is no Parquet.
    """
    with _table_errors():
        import pyarrow.parquet as pq

        facts = pq.read_metadata(source)
        groups = (facts.row_group(i) for i in range(facts.num_row_groups))
        return [(group.num_rows, group.total_byte_size) for group in groups]


@dataclass(frozen=True, slots=True)
class UnreadRows:
    """Rows of a Parquet file that could not be read: how many, and why."""

    rows: int
    reason: str


def read_rows(
    source: Path | BinaryIO, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[dict[str, object]]:
    """Rows in order, a few at a time in memory; a column that is not there is left out.

    Raises TableError when the file is no Parquet or breaks off.
    """
    for found in read_past_gaps(source, columns, groups):
        if isinstance(found, UnreadRows):
            raise TableError(found.reason)
        yield found


def read_past_gaps(
    source: Path | BinaryIO, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[dict[str, object] | UnreadRows]:
    """Rows as `read_rows` gives them, and a gap in place of what is broken inside a row group; the next group is read.

    A value that Python has no form for becomes text: a time in nanoseconds, a year beyond 9999; a map with a key twice becomes
    pairs; bytes in a string that are not UTF-8 stand in it as lone surrogates. Raises TableError when the file is no Parquet.
    """
    with _table_errors():
        import pyarrow.parquet as pq

        opened = source.open("rb") if isinstance(source, Path) else contextlib.nullcontext(source)
        with opened as stream, pq.ParquetFile(stream) as file:
            names = None if columns is None else [name for name in file.schema_arrow.names if name in columns]
            for group in range(file.num_row_groups) if groups is None else groups:
                yield from _rows_of_group(file, group, names)


def _rows_of_group(file: Any, group: int, columns: list[str] | None) -> Iterator[dict[str, object] | UnreadRows]:
    import pyarrow as pa

    missing, reason = file.metadata.row_group(group).num_rows, "fewer rows than its row group promises"
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=columns):
            missing -= len(batch)
            yield from _plain_rows(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = _shortened(error)
    if missing > 0:
        yield UnreadRows(missing, reason)


def _plain_rows(batch: Any) -> list[dict[str, object]]:
    try:
        return batch.to_pylist(maps_as_pydicts="strict")
    except (ValueError, LookupError, ArithmeticError):  # one value spoils the call for all
        columns = [[_plain(value) for value in column] for column in batch.columns]
        return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(value: Any) -> object:
    """A value as Python has it, or the nearest to it."""
    import pyarrow as pa

    try:
        return value.as_py(maps_as_pydicts="strict")
    except (ValueError, LookupError, ArithmeticError):
        pass
    if isinstance(value, pa.DictionaryScalar):
        return _plain(value.value)
    if isinstance(value, pa.MapScalar):
        return [(_plain(pair["key"]), _plain(pair["value"])) for pair in value.values]
    if isinstance(value, pa.StructScalar):
        return {name: _plain(value[place]) for place, name in enumerate(value.type.names)}
    if hasattr(value, "values"):
        return [_plain(each) for each in value.values]
    if hasattr(value, "as_buffer"):
        return value.as_buffer().to_pybytes().decode("utf-8", "surrogateescape")
    zone = getattr(value.type, "tz", None)
    bare = value.cast(pa.timestamp(value.type.unit)) if zone else value
    return f"{bare.cast(pa.string())}{f' {zone}' if zone else ''}"


@contextlib.contextmanager
def arrow_stream(stream: BinaryIO, codec: str) -> Generator[BinaryIO]:
    """The content of packed bytes (zstd: all frames; brotli); unlike other libraries, pyarrow raises (OSError) where they are cut off."""
    import pyarrow as pa

    with (
        pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), codec) as packed,
        io.BufferedReader(packed) as plain,
    ):
        yield plain


class ArrowTable:
    """Rows in memory as columns; a thin, typed hold on an Arrow table."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __len__(self) -> int:
        return cast("int", self._table.num_rows)

    @property
    def num_bytes(self) -> int:
        """Memory of all columns."""
        return cast("int", self._table.nbytes)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return cast("list[str]", self._table.column_names)

    @classmethod
    def read(cls, path: Path, columns: Sequence[str] | None = None) -> "ArrowTable":
        """A whole Parquet file, or some columns of it."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            return cls(file.read(columns=None if columns is None else list(columns), use_threads=False))

    @classmethod
    def groups(cls, path: Path, columns: Sequence[str] | None = None) -> Iterator["ArrowTable"]:
        """The row groups of a Parquet file, one at a time in memory."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield cls(file.read_row_group(group, columns=None if columns is None else list(columns), use_threads=False))

    @classmethod
    def blocks(cls, path: Path, columns: Sequence[str] | None = None, chosen: Iterable[int] | None = None) -> Iterator["ArrowTable"]:
        """The blocks that a BlockWriter wrote, all or those chosen, one at a time in memory."""
        import pyarrow as pa
        from pyarrow import ipc

        with storage_errors(path), pa.OSFile(str(path)) as file:
            fields = [] if columns is None else [ipc.open_file(file).schema.get_field_index(name) for name in columns]
            blocks = ipc.open_file(file, options=ipc.IpcReadOptions(included_fields=fields, use_threads=False))
            for number in range(blocks.num_record_batches) if chosen is None else chosen:
                yield cls(pa.Table.from_batches([blocks.get_batch(number)]))

    @classmethod
    def of(cls, rows: Sequence[Row], columns: Mapping[str, ColumnKind]) -> "ArrowTable":
        """Rows as a table with these columns; values that are missing are null."""
        import pyarrow as pa

        schema = _schema(columns)
        arrays = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema]
        return cls(pa.Table.from_arrays(arrays, schema=schema))

    @classmethod
    def concatenate(cls, tables: Sequence["ArrowTable"]) -> "ArrowTable":
        """One table under the other, each column in one piece, so that what is written does not depend on how many there were."""
        import pyarrow as pa

        return cls(pa.concat_tables([table._table for table in tables]).combine_chunks())

    def numbers(self, column: str) -> NDArray[np.int64]:
        """A column of whole numbers or flags; null is 0."""
        import pyarrow as pa

        found = self._table.column(column)
        return cast("NDArray[np.int64]", (found.cast(pa.int64()).fill_null(0) if found.null_count else found).to_numpy().astype(np.int64))

    def floats(self, column: str) -> NDArray[np.float64]:
        """A column of numbers; null is NaN."""
        import pyarrow as pa

        return cast("NDArray[np.float64]", self._table.column(column).cast(pa.float64()).to_numpy())

    def digests(self, column: str) -> NDArray[np.uint64]:
        """A column of 16-byte digests as pairs of numbers [rows, 2]; null is (0, 0)."""
        import pyarrow.compute as pc

        joined = b"".join(pc.fill_null(self._table.column(column), b"\0" * 16).to_pylist())
        return np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2)

    def texts(self, column: str) -> list[str]:
        """A column of text."""
        return cast("list[str]", self._table.column(column).to_pylist())

    def lengths(self, column: str) -> NDArray[np.int64]:
        """Bytes of UTF-8 of a column of text; null is 0."""
        import pyarrow.compute as pc

        return cast(
            "NDArray[np.int64]",
            pc.fill_null(pc.call_function("binary_length", [self._table.column(column)]), 0).to_numpy().astype(np.int64),
        )

    def present(self, column: str) -> NDArray[np.bool_]:
        """Where a column is not null."""
        return cast("NDArray[np.bool_]", self._table.column(column).is_valid().to_numpy())

    def rows(self) -> list[dict[str, object]]:
        """All rows as plain values."""
        return cast("list[dict[str, object]]", self._table.to_pylist(maps_as_pydicts="strict"))

    def take(self, indices: NDArray[np.int64]) -> "ArrowTable":
        """These rows in this order."""
        return ArrowTable(self._table.take(indices))

    def order_by(self, column: str) -> NDArray[np.int64]:
        """Indices of the rows in ascending order of one column."""
        return np.argsort(np.array(self.texts(column), dtype=np.str_), kind="stable")

    def sorted_by(self, column: str) -> "ArrowTable":
        """Rows in ascending order of one column."""
        return ArrowTable(self._table.sort_by(column))

    def select(self, columns: Iterable[str]) -> "ArrowTable":
        """These columns in this order."""
        return ArrowTable(self._table.select(list(columns)))

    def with_column(self, name: str, kind: ColumnKind, values: Sequence[object]) -> "ArrowTable":
        """One more column at the end."""
        import pyarrow as pa

        return ArrowTable(self._table.append_column(name, pa.array(values, type=_type(kind))))


class TableWriter:
    """A Parquet file written piece by piece; each `write` ends with a row group."""

    def __init__(self, path: Path, columns: Mapping[str, ColumnKind]) -> None:
        import pyarrow.parquet as pq

        self._path = path
        with storage_errors(path):
            coded = [name for name in ("source", "rule", "language", "license", "split") if name in columns]
            self._writer = pq.ParquetWriter(path, _schema(columns), compression="zstd", use_dictionary=coded)  # pyright: ignore[reportArgumentType]

    def write(self, table: ArrowTable, group_rows: int = 1 << 16) -> None:
        """Append a table.

        Raises StorageError when the disk is full.
        """
        if len(table):
            with storage_errors(self._path):
                self._writer.write_table(table._table, row_group_size=group_rows)  # pyright: ignore[reportPrivateUsage]

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _close(self._writer, self._path, kind)


class BlockWriter:
    """A file of tables, each of which can be read alone as cheaply as from a file of its own."""

    def __init__(self, path: Path, columns: Mapping[str, ColumnKind]) -> None:
        from pyarrow import ipc

        self._path = path
        with storage_errors(path):
            self._writer = ipc.new_file(str(path), _schema(columns), options=ipc.IpcWriteOptions(compression="zstd", use_threads=False))

    def write(self, table: ArrowTable) -> None:
        """Append a block.

        Raises StorageError when the disk is full.
        """
        with storage_errors(self._path):
            for batch in table._table.combine_chunks().to_batches():  # pyright: ignore[reportPrivateUsage]
                self._writer.write_batch(batch)

    def __enter__(self) -> "BlockWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _close(self._writer, self._path, kind)


def _close(writer: Any, path: Path, kind: type[BaseException] | None) -> None:
    if kind is None:
        with storage_errors(path):
            writer.close()
        return
    try:
        writer.close()
    except OSError:
        return  # the first error is the one to tell


def _schema(columns: Mapping[str, ColumnKind]) -> Any:
    import pyarrow as pa

    return pa.schema([(name, _type(kind)) for name, kind in columns.items()])


def _type(kind: ColumnKind) -> Any:
    import pyarrow as pa

    kinds: dict[ColumnKind, Any] = {
        "text": pa.string(),
        "number": pa.float64(),
        "count": pa.int64(),
        "flag": pa.bool_(),
        "digest": pa.binary(16),
        "row": pa.int32(),
        "metadata": pa.map_(pa.string(), pa.string()),
    }
    return kinds[kind]


@contextlib.contextmanager
def _table_errors() -> Generator[None]:
    """Turn pyarrow's errors about a broken file into TableError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the disk's or the network's, not the content's
            raise
        raise TableError(_shortened(error)) from error


def _shortened(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]

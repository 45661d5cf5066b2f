"""Parquet: columns of any type, as a contact takes them."""

import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sendx_async import ConfigurationError
from sendx_async._cli.importing.reading.cell_texts import cell_text
from sendx_async._cli.importing.reading.opening import Reading, Source
from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.importing.conftest import Import
from tests.cli.processes import run_in_shell

from .records import first_records, has_address, records_of, rows_of

pa = pytest.importorskip("pyarrow", reason="pyarrow has no wheel for this Python")
parquet = pytest.importorskip("pyarrow.parquet", reason="likewise")

JANE = "jane@example.com"
MIDNIGHT = datetime(2026, 1, 2)  # noqa: DTZ001 - many tables have no time zones


def written(table: Any, name: str = "c.parquet", **options: Any) -> Path:
    parquet.write_table(table, name, **options)
    return Path(name)


def value_of(array: Any) -> object:
    """Return the first value of a column, which has a null behind it."""
    path = written(pa.table({"email": ["a@b.co", "b@b.co"], "x": array}))
    first, second = (dict(zip(each.names, each.values, strict=True)) for each in records_of(path))
    assert second["x"] is None
    return first["x"]


def test_a_table_is_imported(import_text: Import, fake_sendx: FakeSendX) -> None:
    table = pa.table(
        {
            "email": [JANE, "bob@example.com", "bad"],
            "first_name": ["Jane", None, "x"],
            "tags": [["vip", "a, b"], [], ["c"]],
            "Age": [27.0, float("nan"), 1.5],
            "Since": [date(2026, 1, 2), None, None],
            "traits": [{"plan": "Pro"}, None, {"plan": "x"}],
        }
    )
    content = written(table).read_bytes()
    done = import_text(content, "--all-fields", "--rejects", "r.csv", name="d.parquet")
    assert done.counts == (2, 1)
    jane = fake_sendx.contact(JANE)
    assert jane.first_name == "Jane"
    assert jane.tags == {"vip", "a, b"}
    assert jane.custom_fields == {"Age": "27", "Since": "2026-01-02", "traits.plan": "Pro"}
    assert fake_sendx.contact("bob@example.com").custom_fields == {}


@pytest.mark.parametrize(
    "array, value",
    [
        (["a", None], "a"),
        ([5, None], 5),
        ([True, None], True),
        ([1.5, None], 1.5),
        ([27.0, float("nan")], 27),
        ([Decimal("1.50"), None], Decimal("1.50")),
        ([date(2026, 1, 2), None], date(2026, 1, 2)),
        ([MIDNIGHT, None], date(2026, 1, 2)),
        ([MIDNIGHT.replace(hour=10), None], MIDNIGHT.replace(hour=10)),
        ([datetime(2026, 1, 2, tzinfo=UTC), None], datetime(2026, 1, 2, tzinfo=UTC)),
        ([time(10, 30), None], "10:30:00"),
        ([timedelta(hours=30), None], "30:00:00"),
        ([b"Zo\xc3\xab", None], "Zoë"),
        ([b"\xff", None], b"\xff"),
        ([["a", None, "b"], None], ["a", "b"]),
        ([[{"a": b"x", "b": 1.0}], None], [{"a": "x", "b": 1}]),
        ([None, None], None),
    ],
)
def test_values(array: list[object], value: object) -> None:
    found = value_of(pa.array(array))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "kind, given, value",
    [
        ("large_string", "a", "a"),
        ("float32", 0.1, 0.1),
        ("float32", 27.0, 27),
        ("float16", 0.5, 0.5),
        ("date64", date(2026, 1, 2), date(2026, 1, 2)),
        ("int64", 2**60, 2**60),
    ],
)
def test_values_of_types_that_have_to_be_named(kind: str, given: object, value: object) -> None:
    to = getattr(pa, kind)()
    # Earlier versions of pyarrow make halves of numpy's only.
    array = pa.array([given, None], pa.float32() if kind == "float16" else to)
    assert value_of(array.cast(to)) == value


def test_values_in_nanoseconds() -> None:
    nano = pa.array([1_767_348_000_000_000_001, None])
    assert value_of(nano.cast(pa.timestamp("ns"))) == MIDNIGHT.replace(hour=10)
    zone = nano.cast(pa.timestamp("ns", "Europe/Oslo"))
    assert cell_text(value_of(zone)) == "2026-01-02T10:00:00+00:00"
    assert value_of(pa.array([1, None]).cast(pa.duration("ns"))) == "0:00:00"
    assert value_of(pa.array([3_600_000_000_001, None]).cast(pa.time64("ns"))) == "01:00:00"


def test_values_of_other_types() -> None:
    assert value_of(pa.array(["a", None]).dictionary_encode()) == "a"
    maps = pa.array([[("a", 1.0)], None], pa.map_(pa.string(), pa.float64()))
    assert value_of(maps) == {"a": 1}
    text = "018f3c5a-0000-7000-8000-000000000001"
    uuids = pa.array([UUID(text).bytes, None], pa.binary(16)).cast(pa.binary(16))
    assert value_of(pa.ExtensionArray.from_storage(pa.uuid(), uuids)) == text


def test_structs_become_columns_with_dotted_names() -> None:
    kind = pa.struct([("plan", pa.string()), ("at", pa.struct([("city", pa.string())]))])
    struct = [
        {"plan": "pro", "at": {"city": "Oslo"}},
        None,
        {"plan": None, "at": {"city": "Bergen"}},
    ]
    structs = pa.array(struct, kind)
    table = pa.table({"a": structs, "custom_fields": structs, "b": [1, 2, None]})
    one, two, three = records_of(written(table))
    assert one.names == ("a.plan", "a.at.city", "custom_fields", "b")
    assert one.values == ("pro", "Oslo", {"plan": "pro", "at": {"city": "Oslo"}}, 1)
    assert two.values == (None, None, None, 2)
    assert three.values[:2] == (None, "Bergen")
    assert one.text == 'pro,Oslo,"{""plan"": ""pro"", ""at"": {""city"": ""Oslo""}}",1\r\n'
    assert two.text == ",,,2\r\n"


def test_rows_without_values_and_names_that_stand_twice() -> None:
    table = pa.table([[JANE, None, "b@b.co"], ["", None, "x"]], names=["email", "email"])
    path = written(table)
    with Source(str(path), Reading(header_score=has_address)) as source:
        assert source.format == "parquet"
        assert source.table.titles == ("email", "email")
        assert source.table.header == ("email", "email (2)")
        assert (source.table.before, source.table.dialect) == ((), None)
        assert [record.number for record in source] == [1, 3]


def test_the_bar_goes_by_rows_and_the_look_takes_nothing_away() -> None:
    path = written(pa.table({"email": [f"a{n}@b.co" for n in range(2500)]}), row_group_size=700)
    first, are_all = first_records(path)
    assert (len(first), are_all) == (1000, False)
    size = path.stat().st_size
    with Source(str(path), Reading(header_score=has_address)) as source:
        assert source.first_records().records == first
        positions = [source.position for _ in source]
    assert positions == [round(number / 2500 * size) for number in range(1, 2501)]


def test_a_table_without_rows() -> None:
    path = written(pa.table({"email": pa.array([], pa.string())}))
    with Source(str(path), Reading(header_score=has_address)) as source:
        assert list(source) == []
        assert source.position >= 0
    assert rows_of(path) == []


@pytest.mark.parametrize("cut", [slice(0, 100), slice(0, -100)])
def test_a_damaged_file(cut: slice) -> None:
    path = written(pa.table({"email": ["a@b.co"] * 1000}))
    path.write_bytes(path.read_bytes()[cut])
    with pytest.raises(ConfigurationError, match="the Parquet file can't be read"):
        records_of(path)


def test_a_file_that_is_damaged_in_its_middle() -> None:
    path = written(pa.table({"email": [f"a{n}@b.co" for n in range(5000)]}), compression="gzip")
    content = path.read_bytes()
    path.write_bytes(content[:200] + bytes(4000) + content[4200:])
    with pytest.raises(ConfigurationError, match="the Parquet file can't be read"):
        records_of(path)


@pytest.mark.parametrize("name", ["Arrow", "Feather"])
def test_its_relatives_are_named(run: Run, name: str) -> None:
    start = {"Arrow": b"ARROW1\0\0", "Feather": b"FEA1"}[name]
    Path("c.parquet").write_bytes(start + bytes(100))
    assert f"{name} file: write it as Parquet or CSV" in run("import", "c.parquet").err


def test_what_is_no_parquet() -> None:
    Path("c.parquet").write_text("email\na@b.co\n")
    with pytest.raises(ConfigurationError, match="the file is no Parquet"):
        records_of("c.parquet", format="parquet")
    assert len(records_of("c.parquet")) == 1  # whatever its name


@pytest.mark.parametrize("options", [{"names": ("email",)}, {"skipped_lines": 1}])
def test_parquet_names_its_columns(options: dict[str, Any]) -> None:
    path = written(pa.table({"email": ["a@b.co"]}))
    with pytest.raises(ConfigurationError, match="leave out --columns and --skip-lines"):
        records_of(path, **options)


@pytest.mark.slow
def test_parquet_from_a_pipe(settings: None) -> None:
    written(pa.table({"email": ["a@b.co"]}))
    assert "save it as a file" in run_in_shell("cat c.parquet | sendx import -").err


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(pa.table({"email": ["a@b.co"]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sendx-async\[files\]'"):
        records_of(path)

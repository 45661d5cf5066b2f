"""What spreadsheets and data frames have made of a column's values."""

from collections.abc import Iterable

import pytest

from sendx_async._cli.importing.cleaning.day_numbers import DayNumbers
from sendx_async._cli.importing.cleaning.decimal_codes import DecimalCodes
from sendx_async._cli.importing.cleaning.leading_zeros import LeadingZeros

from .samples import rows_of


def counted(column: LeadingZeros | DayNumbers | DecimalCodes, values: Iterable[str]) -> int:
    for value in values:
        column.add(value)
    return column.count


def lost_zeros(name: str, values: Iterable[str]) -> int:
    return counted(LeadingZeros(name), values)


def day_numbers(name: str, values: Iterable[str]) -> int:
    return counted(DayNumbers(name), values)


def decimal_codes(name: str, values: Iterable[str]) -> int:
    return counted(DecimalCodes(name), values)


ZIPS = ["97477", "10001", "60601", "2139", "501"]


@pytest.mark.parametrize(
    "name",
    ["Zip", "ZIP code", "ZipCode", "PLZ", "Postleitzahl", "MailingPostalCode", "Code postal",
     "Código postal", "CEP",
     "CAP", "Postcode", "shipping_zip", "Barcode", "EAN", "ISBN"],
)  # fmt: skip
def test_codes_that_are_shorter_than_most_have_lost_a_zero(name: str) -> None:
    assert lost_zeros(name, ZIPS) == 2


@pytest.mark.parametrize("name", ["Age", "Orders", "Customer ID", "Capacity", "Postings", "zipper"])
def test_nothing_is_said_of_other_columns(name: str) -> None:
    assert lost_zeros(name, ZIPS) == 0


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["97477", "10001"],
        ["2139", "7001"],  # nothing says that they should be longer
        ["97477", "2139"],
        [*ZIPS, "02139"],  # zeros were kept
        ["SW1A 1AA", "EC1A", "1012 AB"],
        ["97477", "10001", "60601", "974771234"],
        ["97477", "10001", "60601", "9" * 30],
        ["1", "2", "3"],
    ],
)
def test_codes_that_have_lost_nothing(values: list[str]) -> None:
    assert lost_zeros("Zip", values) == 0


@pytest.mark.parametrize(
    "name", ["Phone", "Phone Number", "Telefon", "Téléphone", "Mobile", "Handynummer"]
)
def test_phone_numbers_have_lost_the_zero_that_others_have(name: str) -> None:
    values = ["0151 2345678", "1512345679", "(0151) 2345677", "49 151 1", "491512345678"]
    assert lost_zeros(name, values) == 1
    assert lost_zeros(name, ["+49151234567", "15550100000", "5550100000"]) == 0
    assert lost_zeros(name, [*values, "01512345678"]) == 0


@pytest.mark.parametrize(
    "name", ["Date", "Created (UTC)", "CreatedDate", "Geburtsdatum", "fecha de alta", "Birthday"]
)
def test_days_in_a_column_of_dates_by_its_name(name: str) -> None:
    assert day_numbers(name, ["45352", "45352.5", "45352,25", "", "2024", "20240301"]) == 3


@pytest.mark.parametrize(
    "date", ["2024-03-04", "03/04/2024", "4.3.24", "2024-03-04 10:00", "2024-03-04T10:00:00Z"]
)
def test_days_in_a_column_of_dates_by_its_values(date: str) -> None:
    assert day_numbers("Serial", ["45352", date, "45353"]) == 2


def test_other_numbers_are_no_days() -> None:
    assert day_numbers("Serial", ["45352", "45352.5"]) == 0
    assert day_numbers("Zip", ["45352", "97477"]) == 0
    assert day_numbers("Date", ["1", "19999", "80000", "345352"]) == 0


@pytest.mark.parametrize("name", ["Zip", "Phone", "EAN"])
def test_codes_that_a_data_frame_has_taken_for_numbers(name: str) -> None:
    assert (
        decimal_codes(name, ["10115.0", "4915112345678.0", "10115", "1.5", "1.0.0", "1.05", ""])
        == 2
    )
    assert decimal_codes("Age", ["31.0", "32.0"]) == 0


def test_nothing_is_found_in_the_samples_that_kept_what_they_had() -> None:
    rows = rows_of("numbers.csv")
    for name in rows[0]:
        values = [row[name] for row in rows if row[name]]
        assert (lost_zeros(name, values), day_numbers(name, values)) == (0, 0), name

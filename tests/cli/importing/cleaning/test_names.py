"""Full names, taken apart."""

import pytest

from sendx_async._cli.importing.cleaning.names import split_name


@pytest.mark.parametrize(
    "text, first, last",
    [
        ("Ada Abel", "Ada", "Abel"),
        ("Abel, Ada", "Ada", "Abel"),
        ("Abel,Ada Mary", "Ada Mary", "Abel"),
        ("Ada", "Ada", None),
        ("Ludwig van Beethoven", "Ludwig", "van Beethoven"),
        ("van Beethoven, Ludwig", "Ludwig", "van Beethoven"),
        ("Mary Jane Watson", "Mary Jane", "Watson"),
        ("Juan de la Cruz", "Juan", "de la Cruz"),
        ("van Gogh", "van", "Gogh"),
        ("ada abel", "ada", "abel"),
        ("mary jane watson", "mary jane", "watson"),
        ("ADA VAN ABEL", "ADA VAN", "ABEL"),
        ("Sammy Davis Jr.", "Sammy", "Davis Jr."),
        ("Sammy Davis, Jr.", "Sammy", "Davis Jr."),
        ("Ludwig van Beethoven III", "Ludwig", "van Beethoven III"),
        ("Ada Ph.D.", "Ada", "Ph.D."),
        ("Ada  \xa0 Abel", "Ada", "Abel"),
        ("Abel,", "Abel", None),
        (", Ada", "Ada", None),
        (",", ",", None),
    ],
)
def test_a_full_name_is_taken_apart(text: str, first: str, last: str | None) -> None:
    assert split_name(text) == (first, last)

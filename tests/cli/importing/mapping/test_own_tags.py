"""Marks that a service has made for itself are no tags."""

from sendx_async.testing import FakeSendX
from tests.cli.importing.conftest import Import

HEADER = "Given Name,Family Name,Group Membership,E-mail 1 - Value"


def test_the_groups_of_google_are_no_tags(import_text: Import, fake_sendx: FakeSendX) -> None:
    rows = (
        "Ada,Abel,Press ::: * myContacts ::: * starred,ada@example.com\n"
        "Bo,Bell,* myContacts,bo@example.com\n"
    )
    assert import_text(f"{HEADER}\n{rows}", "--from", "google").counts == (2, 0)
    assert fake_sendx.contact("ada@example.com").tags == {"Press"}
    assert fake_sendx.contact("bo@example.com").tags == set()

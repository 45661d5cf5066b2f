"""The Django recipe with PostgreSQL: what is rolled back isn't sent, what is committed is."""

from tests.examples.conftest import EXAMPLES, Start
from tests.postgresql import needs_postgresql


@needs_postgresql
def test_what_is_committed_while_sendx_is_down_is_delivered(start: Start) -> None:
    output = start("-W", "error", str(EXAMPLES / "django_transactions.py")).ends()
    assert output == (
        "visitor 19 is answered 409: ['there is an account already']\n"
        "19 accounts, 19 contacts in SendX\n"
        "19 requests told SendX of a sign-up, 20 of a visit\n"
    )

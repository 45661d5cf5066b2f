"""The order in which a stream sends what is about one contact, whatever goes wrong."""

import itertools
from random import Random

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendx_async import AsyncTrackingClient, IdentifyRequest, TrackRequest
from sendx_async.testing import FakeSendX
from tests.faults.schedules import (
    QUICK_FAULTS,
    SLOW_FAULTS,
    Planned,
    Record,
    Schedule,
    Trouble,
    carry_out,
    check,
    make_schedule,
)

pytestmark = pytest.mark.slow

OLD, NEW = "old@example.com", "new@example.com"
OTHERS = tuple(f"c{n}@example.com" for n in range(10))


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Keep the warnings of all those pauses out of the report of a failure."""
    caplog.set_level("ERROR", "sendx_async")


def carried_out(schedule: Schedule, backend: str, *notes: str) -> Record:
    """Carry a schedule out, and see that nothing came of it that must not be."""
    record = carry_out(schedule, backend)
    violations = check(record)
    assert not violations, "\n".join(map(str, [*notes, *violations, record]))
    return record


def came(record: Record) -> list[int]:
    """The requests in the order in which they came, those that came again included."""
    return [index for delivery in record.deliveries for index in delivery.indices]


@pytest.mark.slow
@pytest.mark.timeout(300)  # for a failure: hypothesis then looks for a smaller one
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_random_streams_with_random_faults_lose_mix_up_and_reorder_nothing(
    backend: str, random: Random
) -> None:
    carried_out(make_schedule(random, fewest=1), backend)


@pytest.mark.chaos
@pytest.mark.timeout(30 * 60)
def test_many_more_random_streams_with_random_faults_lose_nothing(backend: str, seed: int) -> None:
    for each in range(seed, seed + 500):
        carried_out(make_schedule(Random(each)), backend, f"with --seed {each} at once:")


@pytest.mark.parametrize("fault", [*QUICK_FAULTS, *SLOW_FAULTS])
def test_a_fault_keeps_the_order(backend: str, fault: str) -> None:
    requests = [Planned("identify", address) for address in (OLD, NEW, *OTHERS)] * 3
    record = carried_out(
        Schedule(
            requests=tuple(requests),
            troubles=(Trouble(fault, at=1, times=2),),
            timeout=0.2 if fault in SLOW_FAULTS else 30,
        ),
        backend,
    )
    assert any(each.fault for each in record.deliveries)
    assert len(record.outcomes) == len(requests)


def test_a_rename_comes_after_all_before_it_and_before_all_after_it(backend: str) -> None:
    around = [Planned("identify", OLD), Planned("identify", NEW.upper()), Planned("track", OLD)]
    there, back = Planned("rename", OLD.title(), NEW), Planned("rename", NEW, OLD)
    record = carried_out(
        Schedule(
            requests=(*around, there, *around, back, *around),
            latencies=(0.002, 0.0, 0.005),
            concurrency=8,
        ),
        backend,
    )
    order = came(record)
    for index in (3, 7):
        place = order.index(index)
        assert sorted(order[:place]) == list(range(index))
        assert sorted(order[place + 1 :]) == list(range(index + 1, 11))


def test_renames_in_a_row_come_one_after_the_other(backend: str) -> None:
    renames = [Planned("rename", *pair) for pair in itertools.pairwise(OTHERS)]
    record = carried_out(
        Schedule(
            requests=(Planned("identify", OTHERS[0]), *renames),
            latencies=(0.002, 0.0),
            concurrency=8,
        ),
        backend,
    )
    assert came(record) == list(range(len(OTHERS)))
    assert all(outcome.error is None for outcome in record.outcomes)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_two_requests_of_a_contact_are_never_in_flight_at_once(
    backend: str, batch_size: int
) -> None:
    written = (OLD, *OTHERS, OLD.upper(), *OTHERS, OLD.title())
    record = carried_out(
        Schedule(
            requests=tuple(Planned("identify", address) for address in written * 3),
            latencies=(0.001, 0.005, 0.0),
            batch_size=batch_size,
        ),
        backend,
    )
    own = [each for each in record.deliveries if OLD in each.contacts]
    assert len(own) == 9
    assert all(before.ended < after.begun for before, after in itertools.pairwise(own))
    assert any(
        before.ended > after.begun for before, after in itertools.pairwise(record.deliveries)
    )


def test_a_contact_that_has_to_wait_holds_up_no_other(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.black_hole(path="contact/track")
    source: list[IdentifyRequest | TrackRequest] = []
    for number in range(100):
        source += [TrackRequest(OLD), IdentifyRequest(f"c{number}@example.com")]

    async def main() -> None:
        async with (
            AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client,
            client.send_many(source, concurrency=4) as outcomes,
        ):
            taken = [await anext(outcomes) for _ in range(100)]
        assert all(outcome.error is None for outcome in taken)
        assert sorted(outcome.index for outcome in taken) == list(range(1, 200, 2))

    anyio.run(main, backend=backend)
    tracked = [each for each in fake_sendx.requests if each.path.endswith("/contact/track")]
    assert len(tracked) == 1

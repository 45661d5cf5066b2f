"""An outbox loses nothing when its producers and drainers are killed; `-m chaos` kills more."""

import collections
import os
from pathlib import Path

import pytest

from tests.faults.crashes.check import check, duplicates
from tests.faults.crashes.plan import Plan, make_producers
from tests.faults.crashes.run import carry_out
from tests.faults.crashes.server import FAULTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(os, "fork"), reason="needs processes that fork, and groups of them"
    ),
]

BRIEFLY = Plan(
    puts=500,
    kills=5,
    stops=1,
    producers=make_producers(3)[1:],  # each form once: a process takes long to start
    drainers=2,
    window=120,
    faults=0.2,
    limit=600,
)
LONG = Plan(
    puts=10_000,
    kills=60,
    stops=10,
    producers=make_producers(12),
    drainers=3,
    window=1_000,
    faults=0.08,
    limit=30 * 60,
)


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(BRIEFLY, id="briefly", marks=pytest.mark.timeout(BRIEFLY.limit + 60)),
        pytest.param(
            LONG, id="long", marks=[pytest.mark.chaos, pytest.mark.timeout(LONG.limit + 60)]
        ),
    ],
)
def test_killed_processes_lose_and_disorder_nothing(
    tmp_path: Path, children_unmeasured: None, seed: int, plan: Plan
) -> None:
    history = carry_out(plan, seed, tmp_path / "outbox.db")

    assert [str(violation) for violation in check(history)] == []
    assert sum(stored.delivery_id is not None for stored in history.stored.values()) >= plan.puts
    assert len(history.deaths) == plan.kills
    assert {death.is_drainer for death in history.deaths} == {True, False}
    assert {arrival.fault for arrival in history.arrivals} >= FAULTS.keys()
    after_a_kill = collections.Counter(
        duplicate.first.drainer
        for duplicate in duplicates(history)
        if duplicate.cause == "killed process"
    )
    assert max(after_a_kill.values(), default=0) <= plan.concurrency * plan.batch_size

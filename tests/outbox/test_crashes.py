"""An outbox loses nothing when its producers and drainers are killed; a benchmark kills more."""

import os
import random
from pathlib import Path

import pytest

from tests.faults.crashes.check import check
from tests.faults.crashes.plan import Plan, make_producers
from tests.faults.crashes.run import carry_out
from tests.faults.crashes.server import FAULTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(os, "fork"), reason="needs processes that fork, and groups of them"
    ),
]


def test_nothing_is_lost_or_disordered_when_processes_are_killed(
    tmp_path: Path, children_unmeasured: None
) -> None:
    plan = Plan(
        seed=random.randrange(1_000_000),  # which follows from --randomly-seed
        puts=800,
        kills=8,
        stops=1,
        producers=make_producers(3),
        drainers=2,
        window=120,
        faults=0.12,
        limit=55,
    )

    history = carry_out(plan, tmp_path / "outbox.db")

    violations = [str(violation) for violation in check(history)]
    assert (plan.seed, violations) == (plan.seed, [])
    assert sum(stored.delivery_id is not None for stored in history.stored.values()) >= plan.puts
    assert len(history.deaths) == plan.kills
    assert any(death.is_drainer for death in history.deaths)
    assert any(not death.is_drainer for death in history.deaths)
    assert {arrival.fault for arrival in history.arrivals} >= FAULTS.keys()

"""Which addresses were seen, in any number."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendx_async._cli.importing.seen_addresses import SeenAddresses

names = st.lists(
    st.sampled_from(["a@b.co", "A@b.co", "ß@b.co", "SS@b.co", "c@d.co", "\udc80@b.co"])
)


@given(names)
def test_the_first_place_of_each_address_is_known(addresses: list[str]) -> None:
    seen = SeenAddresses()
    known: dict[str, int] = {}
    for place, address in enumerate(addresses):
        assert seen.first(address, place) == known.setdefault(address.casefold(), place)
    seen.close()


@given(names)
def test_the_last_place_of_each_address_is_known(addresses: list[str]) -> None:
    seen = SeenAddresses()
    known: dict[str, int] = {}
    for place, address in enumerate(addresses):
        seen.add(address, place)
        known[address.casefold()] = place
    assert [seen.last(address) for address in addresses] == [known[a.casefold()] for a in addresses]
    assert seen.last("other@b.co") is None
    seen.close()


MANY = """
from pathlib import Path
from sendx_async._cli.importing.seen_addresses import SeenAddresses

def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

seen = SeenAddresses()
seen.add("a@b.co", 0)
before = pages()
for place in range(1, 300_000):
    seen.add(f"person{place % 200_000}@example.com", place)
assert seen.last("person7@example.com") == 200_007
print((pages() - before) * 4)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured there")
def test_many_addresses_take_little_memory() -> None:
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=True)
    # Kilobytes: a set of these texts would take more than 20,000, and grow with them.
    assert float(done.stdout) < 12_000

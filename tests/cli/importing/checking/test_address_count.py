"""How many different addresses there were."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendx_async._cli.importing import address_count
from sendx_async._cli.importing.address_count import AddressCount


@given(
    addresses=st.lists(st.sampled_from(["a@b.co", "A@b.co", "ß@b.co", "SS@b.co", "\udc80@b.co"])),
    in_memory=st.integers(1, 4),
    at_once=st.integers(1, 3),
)
def test_case_makes_no_other_address(addresses: list[str], in_memory: int, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(address_count, "_IN_MEMORY", in_memory)
        patch.setattr(address_count, "_COUNTED_AT_ONCE", at_once)
        count = AddressCount()
        different = set[str]()
        for address in addresses:
            count.add(address)
            different.add(address.casefold())
            assert len(count) == len(different)
        count.close()


MANY = """
from pathlib import Path
from sendx_async._cli.importing.address_count import AddressCount

def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

count = AddressCount()
before = most = pages()
for place in range(2_000_000):
    count.add(f"person{place % 1_500_000}@example.com")
    if not place % 50_000:
        most = max(most, pages())
print((most - before) * 4)
assert len(count) == 1_500_000
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured there")
def test_many_addresses_take_little_memory() -> None:
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=True)
    # Kilobytes: their numbers alone would take 16,000.
    assert float(done.stdout) < 8_000

"""How much of the memory images may take."""

import os
from contextlib import suppress
from pathlib import Path

from invtool import ranks

SHARE = 0.5  # of what is free, at most: what is made of the images takes some, too


def fits(nbytes: int, free: int | None = None) -> bool:
    """Whether images of so many bytes may stay in memory, or on a device with `free` bytes.

    >>> fits(1), fits(2**20, free=2**20)
    (True, False)
    """
    return nbytes <= SHARE * (free_memory() if free is None else free) / ranks.local_size


def free_memory() -> int:
    """Bytes to be had without swapping; on a system that does not tell, all there are."""
    with suppress(OSError):
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(facts["MemAvailable"].split()[0]) * 1024  # caches count as free
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

"""How many threads compute: as many as the options say, not as many as there are cores.

With another number, sums would run in another order and round otherwise.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def fixed_threads(number: int) -> Iterator[None]:
    """Compute with `number` threads, in torch and in NumPy's linear algebra.

    What OMP_NUM_THREADS and its like say does not count.
    """
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with threadpool_limits(number, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)

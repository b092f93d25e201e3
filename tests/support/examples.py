"""How many generated examples a test tries."""

from __future__ import annotations

import os


def examples(n: int) -> int:
    """Return `n`, or a tenth of it for the quick checks (`make check` sets DJQ_TEST_FAST)."""
    return max(10, n // 10) if os.environ.get("DJQ_TEST_FAST") else n

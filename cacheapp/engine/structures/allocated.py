"""What an object takes of the allocator, which is more than what `sys.getsizeof` says.

CPython's own allocator serves up to 512 bytes in steps of 16; beyond that malloc adds a header and
rounds likewise. For small elements the difference is a sixth of the whole, which is why the memory
account cannot leave it out. What is shared between objects, and the allocator's unused pages, are
left out on purpose.
"""

from __future__ import annotations

import sys

_SMALL_MAX_BYTES = 512
_STEP_BYTES = 16
_MALLOC_HEADER_BYTES = 8


def allocated_bytes(item: object) -> int:
    """The bytes that `item` itself occupies, what it refers to not counted."""
    size = sys.getsizeof(item)
    if size > _SMALL_MAX_BYTES:
        size += _MALLOC_HEADER_BYTES
    return (size + _STEP_BYTES - 1) & -_STEP_BYTES

"""Nothing goes in; the process's C allocator keeps the memory that tensors free, for the tensors of the next step.

By default glibc gives large freed blocks back to the kernel, which clears every page again when the next step
asks for them: at 128 px with Winograd convolutions some 60,000 page faults a step, a sixth of its time.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask glibc to; False, and no change, where the C library is another one. The peak stays what it was."""
    return set_thresholds(trim=NEVER, mmap=NEVER)


def set_thresholds(*, trim: int, mmap: int) -> bool:
    """Bytes of free memory at the top that are given back, and bytes of a block from which it is mapped alone."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, mmap) and mallopt(M_TRIM_THRESHOLD, trim))

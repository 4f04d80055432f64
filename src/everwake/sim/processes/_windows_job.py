"""Windows' own guardian: a job object whose processes the system ends when its last handle is closed.

Structures and numbers: learn.microsoft.com, JOBOBJECT_EXTENDED_LIMIT_INFORMATION and SetInformationJobObject (read 2026-11).
"""

import ctypes
import sys

__all__ = ["join_a_job_that_ends_with_us"]

_EXTENDED_LIMIT_INFORMATION = 9
_KILL_ON_JOB_CLOSE = 0x2000


class _Limits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION: the basic limits, then I/O counters, then memory."""

    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority", ctypes.c_uint32),
        ("scheduling", ctypes.c_uint32),
        ("input_output", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


def join_a_job_that_ends_with_us() -> None:
    """Put this process, and so every one it starts, into a job that ends when this process does, however that is.

    Raises:
        OSError: the system refused.
    """
    if sys.platform != "win32":
        raise OSError("job objects are Windows'")
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateJobObjectW.restype = ctypes.c_void_p
    kernel.CreateJobObjectW.argtypes = (ctypes.c_void_p, ctypes.c_wchar_p)
    kernel.SetInformationJobObject.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
    kernel.AssignProcessToJobObject.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    limits = _Limits(flags=_KILL_ON_JOB_CLOSE)
    # The handle is never closed by us: the system closes it with this process, and that is the point.
    job = kernel.CreateJobObjectW(None, None)
    if (
        not job
        or not kernel.SetInformationJobObject(
            job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
        )
        or not kernel.AssignProcessToJobObject(job, kernel.GetCurrentProcess())
    ):
        raise ctypes.WinError(ctypes.get_last_error())

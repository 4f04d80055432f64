"""Free TCP ports of this machine's loopback."""

import socket
import sys
from collections.abc import Iterator

__all__ = ["HOST", "free_from", "is_free"]

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Could a server listen on this port now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            # As uvicorn and Redis do: a port whose last connections are still in TIME_WAIT counts as free. On Windows
            # the same option would take the port away from whoever listens there.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_from(first: int) -> Iterator[int]:
    """The free ports from `first` on, in order, each looked at when it is asked for."""
    return (port for port in range(first, 65536) if is_free(port))

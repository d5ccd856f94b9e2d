"""Messages from a worker, taken off the pipe as far as they have come.

Whoever reads one must not wait for its rest: the worker may have been killed in the
middle of it, while a process that the estimator forked holds the pipe open.
"""

import os
import socket
import struct

__all__ = ["FrameReader", "write_frame"]

_LENGTH = struct.Struct("<Q")
_READ_BYTES = 1 << 18


def write_frame(fd: int, message: bytes) -> None:
    """Write a message; wait until all of it is in the pipe."""
    left = memoryview(_LENGTH.pack(len(message)) + message)
    while left:
        left = left[os.write(fd, left) :]


class FrameReader:
    """Reads messages from a socket that others may go on to use in blocking mode.

    Parameters
    ----------
    fd : int
        The socket. It is not closed with the reader.
    """

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=os.dup(fd))
        self._buffer = bytearray()

    def take(self) -> tuple[list[bytes], bool]:
        """Return the complete messages there are, and whether more may come."""
        is_open = True
        while True:
            try:
                data = self._socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                is_open = False
                break
            self._buffer += data
        return self._complete(), is_open

    def _complete(self) -> list[bytes]:
        messages, position = [], 0
        while len(self._buffer) - position >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, position)
            end = position + _LENGTH.size + length
            if end > len(self._buffer):
                break
            messages.append(bytes(self._buffer[position + _LENGTH.size : end]))
            position = end
        del self._buffer[:position]
        return messages

    def close(self) -> None:
        """Read no more."""
        self._socket.close()

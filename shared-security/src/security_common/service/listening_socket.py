"""The socket that a service listens on: how it is opened, and how it is closed without resetting connections."""

import ctypes
import socket
import struct
import sys
from typing import ClassVar, Self

from security_common.errors import SecurityError
from security_common.service.settings import ServiceSettings
from security_common.setting_names import variable_name

__all__ = ["PortTaken", "bind_socket", "ignore_new_connections", "open_listener"]

_SO_ATTACH_FILTER = 26  # Linux, asm-generic/socket.h; the socket module does not name it


class PortTaken(SecurityError):
    """The service cannot listen on its address."""

    error: ClassVar[str] = "port_taken"

    @classmethod
    def at(cls, settings: ServiceSettings, host: str, port: int, name: str) -> Self:
        """The error for this address; `name` is the field of its port in the settings."""
        variable = variable_name(settings, name)
        return cls(f"cannot listen on {host}:{port}", hint=f"stop the process that listens there, or set {variable}")


def open_listener(settings: ServiceSettings) -> socket.socket:
    """The socket of the service, bound to its address. Raises `PortTaken`."""
    try:
        return bind_socket(settings.host, settings.port)
    except OSError as failure:
        raise PortTaken.at(settings, settings.host, settings.port, "port") from failure


def bind_socket(host: str, port: int) -> socket.socket:
    """A TCP socket that is bound to the address. Raises OSError."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def ignore_new_connections(listener: socket.socket) -> None:
    """Makes the kernel drop what arrives at a listening socket; connections that it has established can be accepted.

    The kernel resets established connections that nobody has accepted when their listening socket is closed. A client
    whose packets are dropped tries again after a second, and its connection is then refused. Does nothing where the
    kernel is not Linux or does not support it.
    """
    if sys.platform != "linux":
        return
    drop_everything = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET | BPF_K with 0 bytes
    program = struct.pack("HP", 1, ctypes.addressof(drop_everything))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return

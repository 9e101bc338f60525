"""A TCP proxy before Redis that cuts connections, loses answers, or lets nothing through."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class LosingProxy:
    """Passes everything on, until told to lose an answer. A context manager.

    Args:
        port: Of the server, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._wanted: bytes | None = None
        self._frozen = threading.Event()
        self.lost = 0
        """How many answers were lost."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def lose_answer_to(self, word: str) -> None:
        """Lose the answer to the next request that has `word` in it; Redis carries the request out."""
        with self._lock:
            self._wanted = word.encode()

    def freeze(self) -> None:
        """Let nothing through any more, as a network that is down: nobody's connection ends, and nobody is answered."""
        self._frozen.set()

    def thaw(self) -> None:
        """Let new connections through. Those from before stay open, and dead: half open, as after a failover."""
        self._frozen.clear()

    def cut(self) -> None:
        """Cut all connections there are."""
        for one in list(self._sockets):
            self._close(one)
        self._sockets.clear()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(self._listener)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server))
            except OSError:  # it is down
                self._close(client)
                continue
            self._sockets |= {client, server}
            losing, dead = threading.Event(), threading.Event()
            threading.Thread(target=self._requests, args=[client, server, losing, dead], daemon=True).start()
            threading.Thread(target=self._answers, args=[client, server, losing, dead], daemon=True).start()

    def _passes(self, dead: threading.Event) -> bool:
        """Whether data passes on a connection; one that has been frozen once is dead."""
        if self._frozen.is_set():
            dead.set()
        return not dead.is_set()

    def _requests(
        self, client: socket.socket, server: socket.socket, losing: threading.Event, dead: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 20):
                if not self._passes(dead):
                    continue
                with self._lock:
                    if self._wanted is not None and self._wanted in data:
                        self._wanted = None
                        losing.set()
                server.sendall(data)
        self._close(server)

    def _answers(
        self, client: socket.socket, server: socket.socket, losing: threading.Event, dead: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 20):
                if not self._passes(dead):
                    continue
                if losing.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
        self._close(client)
        self._close(server)

    @staticmethod
    def _close(one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

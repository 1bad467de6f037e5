"""A line from rank 0 to each other rank, that tells at once, and why, that one of them has ended.

A rank says a word before it ends: that it is done, or the sentence of its failure. The system closes
the connection of one that is killed, and gives up one whose host is lost. What rank 0 hears it passes
on, so that all end within moments: those that compute are signaled, and those that wait for a rank
that has ended are told by the library that they wait in.
"""

import json
import os
import secrets
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

JOIN = 300  # seconds until all ranks must be there
ALIKE = 1  # seconds for ranks that fail for the same reason to find it out themselves
GRACE = 20  # seconds in which a rank that is to end may still write down what it wants
# Seconds until silence is probed, and between probes; how many; milliseconds until what was sent is lost.
PROBES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}
END = b"\n"
KILLED = "was killed, or its host was lost"


@dataclass(frozen=True)
class Word:
    """The last of a rank."""

    rank: int
    code: int  # with which it exits
    sentence: str = ""  # for rank 0 to say


class Line:
    """One rank's ends of the connections: of rank 0 to each other rank, of another to rank 0."""

    def __init__(self, rank: int, size: int, connections: Mapping[int, socket.socket]):
        self.rank, self.size = rank, size
        self.connections = dict(connections)
        self.words: dict[int, Word] = {}
        self.failure: Word | None = None  # the first, of another rank
        self.news = threading.Condition()
        self.at_work = True
        self.before = signal.signal(signal.SIGTERM, self._signaled)
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def tell(self, code: int, sentence: str = "") -> None:
        """Say a last word to whoever is connected; what rank 0 has to say it says itself."""
        text = json.dumps([code, sentence if self.rank else ""]).encode() + END
        for connection in self.connections.values():
            with suppress(OSError):  # it has ended itself
                connection.sendall(text)

    def others(self, seconds: float | None) -> Word | None:
        """The first failure of another rank, waited for so long; None where all are done, or none is known."""
        with self.news:
            self.news.wait_for(
                lambda: self.failure or len(self.words) == len(self.connections), seconds
            )
            return self.failure

    def leave(self) -> None:
        """The rank's work has ended, one way or the other: no signal disturbs what it still says."""
        with self.news:
            self.at_work = False
            self.news.notify_all()

    def close(self) -> None:
        """Hang up."""
        for connection in self.connections.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.listener.join()
        for connection in self.connections.values():
            connection.close()

    def _signaled(self, number: int, frame: Any) -> None:
        if not self.at_work:
            return
        if self.failure:  # nothing that others would still take part in can become whole
            raise SystemExit(128 + number)
        if callable(self.before):
            self.before(number, frame)

    def _listen(self) -> None:
        heard = dict.fromkeys(self.connections, b"")
        with selectors.DefaultSelector() as selector:
            for rank, connection in self.connections.items():
                selector.register(connection, selectors.EVENT_READ, rank)
            while selector.get_map():
                for key, _ in selector.select():
                    part = _received(self.connections[key.data])
                    heard[key.data] += part
                    if not part or part.endswith(END):
                        selector.unregister(key.fileobj)
                        self._note(self._word(key.data, heard[key.data]))

    def _word(self, rank: int, text: bytes) -> Word:
        if text.endswith(END):
            return Word(rank, *json.loads(text.partition(END)[0]))
        silent = rank == 0 and self.rank > 1  # one rank says it
        return Word(rank, 1, "" if silent else f"rank {rank} of {self.size} {KILLED}")

    def _note(self, word: Word) -> None:
        with self.news:
            self.words[word.rank] = word
            first = word.code and not self.failure
            if first:
                self.failure = word
            self.news.notify_all()
        if first:
            if self.rank == 0:
                self.tell(word.code)
            threading.Thread(target=self._wake, args=[word], daemon=True).start()

    def _wake(self, word: Word) -> None:
        """End this rank's work: by a signal, and where that does not come through, at once."""
        with self.news:
            if self.news.wait_for(lambda: not self.at_work, ALIKE):
                return
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        with self.news:
            if self.news.wait_for(lambda: not self.at_work, GRACE):
                return
        if word.sentence and sys.__stderr__:
            print(f"invtool: {word.sentence}", file=sys.__stderr__, flush=True)
        os._exit(word.code)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except OSError:  # the other host is lost
        return b""


def connected(rank: int, size: int, store: Any) -> Line:
    """The line of this rank; `store` is torch's, through which ranks find each other.

    Raises OSError where one does not come.
    """
    if rank:
        port, token = json.loads(store.get("invtool/line"))
        connection = socket.create_connection((os.environ["MASTER_ADDR"], port), JOIN)
        connection.sendall(f"{token} {rank:8d}".encode())
        return Line(rank, size, {0: _alive(connection)})
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    token = secrets.token_hex(16)  # keeps out who is no rank of this job
    found: dict[int, socket.socket] = {}
    with socket.create_server(("", 0), family=family, dualstack_ipv6=both, backlog=size) as server:
        server.settimeout(JOIN)
        store.set("invtool/line", json.dumps([server.getsockname()[1], token]))
        while len(found) < size - 1:
            connection, _ = server.accept()
            connection.settimeout(JOIN)
            hello = connection.recv(len(token) + 9, socket.MSG_WAITALL).decode(errors="replace")
            if hello.startswith(token):
                found[int(hello[len(token) :])] = _alive(connection)
            else:
                connection.close()
    return Line(rank, size, found)


def _alive(connection: socket.socket) -> socket.socket:
    """Without a time limit, but with the system finding out that the other host is lost."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBES.items():
        if hasattr(socket, name):  # by system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection

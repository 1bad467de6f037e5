"""The line between ranks, without PyTorch: who has ended is known at once, and why."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from invtool import ranks
from invtool.files import interrupts
from invtool.ranks import line as lines
from invtool.ranks.line import Line, Word, connected


class Store(dict[str, str]):
    """As torch's: `get` waits."""

    def set(self, name: str, value: str) -> None:
        self[name] = value

    def get(self, name: str, default: object = None) -> str:  # type: ignore[override]
        while name not in self:
            time.sleep(0.01)
        return self[name]


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def pair(rank: int = 1, size: int = 2) -> tuple[Line, Line]:
    """The lines of rank 0 and of another, whose work has ended, so that none is signaled."""
    one, other = socket.socketpair()
    ends = Line(0, size, {rank: one}), Line(rank, size, {0: other})
    for end in ends:
        end.leave()
    return ends


def test_all_done() -> None:
    first, other = pair()
    other.tell(0)
    assert first.others(5) is None
    first.tell(0)
    assert other.others(5) is None
    first.close()
    other.close()


def test_nothing_is_known_yet() -> None:
    first, other = pair()
    assert first.others(0.01) is None
    first.close()
    other.close()


def test_a_failure_reaches_rank_0_with_its_sentence_and_the_others_without() -> None:
    one, other = pair()
    other.tell(2, "no such file\nat all")
    assert one.others(5) == Word(1, 2, "no such file\nat all")
    assert other.others(5) == Word(0, 2)
    one.close()
    other.close()


def test_who_says_nothing_was_killed() -> None:
    first, other = pair()
    other.connections[0].shutdown(socket.SHUT_RDWR)
    assert first.others(5) == Word(1, 1, "rank 1 of 2 was killed, or its host was lost")
    first.close()
    other.close()


@pytest.mark.parametrize(("rank", "sentence"), [(1, "rank 0 of 3 was killed"), (2, "")])
def test_rank_1_alone_speaks_for_rank_0(rank: int, sentence: str) -> None:
    first, other = pair(rank, 3)
    first.connections[rank].shutdown(socket.SHUT_RDWR)
    word = other.others(5)
    assert word
    assert (word.code, word.sentence[: len(sentence) or None]) == (1, sentence)
    first.close()
    other.close()


def test_ranks_find_each_other_and_strangers_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    store, found = Store(), dict[int, Line]()

    def join(rank: int) -> None:
        port = int(store.get("invtool/line").split(",")[0][1:])
        with socket.create_connection(("localhost", port)) as stranger:
            stranger.sendall(b"x" * 100)
        found[rank] = connected(rank, 3, store)

    monkeypatch.setattr(signal, "signal", lambda number, handler: signal.SIG_DFL)
    joining = [threading.Thread(target=join, args=[rank]) for rank in (1, 2)]
    for thread in joining:
        thread.start()
    first = connected(0, 3, store)
    for thread in joining:
        thread.join()
    assert sorted(first.connections) == [1, 2]
    for end in (first, *found.values()):
        end.leave()
    found[2].tell(1, "ill")
    assert first.others(5) == Word(2, 1, "ill")
    assert found[1].others(5) == Word(0, 1)  # passed on
    for end in (first, *found.values()):
        end.close()


def test_who_computes_is_ended_by_a_signal(signals: None) -> None:
    one, other = socket.socketpair()
    first = Line(0, 2, {1: one})
    began = time.monotonic()
    with pytest.raises(SystemExit), other:
        other.sendall(b'[1, "ill"]\n')
        time.sleep(30)
    first.leave()
    assert time.monotonic() - began < 10
    assert first.others(0) == Word(1, 1, "ill")
    first.close()


def test_a_signal_that_comes_while_ranks_agree_counts_in_their_next_agreement(
    signals: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def agree(value: NDArray[Any]) -> NDArray[Any]:
        agreed = value.copy()
        os.kill(os.getpid(), signal.SIGTERM)  # too late for this time
        return agreed

    with monkeypatch.context() as patch, interrupts.held_back():
        patch.setattr(ranks, "size", 2)
        patch.setattr(ranks, "highest", agree)
        assert interrupts.heard() == 0
        patch.setattr(ranks, "highest", lambda value: value)
        with pytest.raises(SystemExit) as end:
            interrupts.leave()
        interrupts.asked = 0  # as nothing more is to come
    assert end.value.code == 128 + signal.SIGTERM


def test_a_signal_to_another_rank_is_everyones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "asked", 0)
    monkeypatch.setattr(ranks, "size", 2)
    monkeypatch.setattr(ranks, "highest", lambda value: np.maximum(value, signal.SIGUSR1))
    assert interrupts.heard() == signal.SIGUSR1 == interrupts.asked


def test_who_hangs_in_a_library_is_ended_all_the_same() -> None:
    code = f"""
import signal, socket, sys, threading, time
sys.path.insert(0, {str(Path(lines.__file__).parents[2])!r})
from invtool.ranks import line
line.GRACE = 0.2
one, other = socket.socketpair()
line.Line(0, 2, {{1: one}})
signal.signal(signal.SIGTERM, signal.SIG_IGN)
other.close()
time.sleep(30)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr == "invtool: rank 1 of 2 was killed, or its host was lost\n"

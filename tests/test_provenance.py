"""The chain of steps behind a file."""

import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from invtool import __version__
from invtool.errors import InvtoolError
from invtool.files import provenance


@pytest.fixture(autouse=True)
def line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["invtool", "train", "-o", "my model.st"])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")


def test_a_step_says_what_was_run() -> None:
    (step,) = provenance.step(config={"seed": 3, "device": "cpu"})
    assert step["command"] == "invtool train -o 'my model.st'"
    assert step["config"] == {"seed": 3, "device": "cpu"}
    assert (step["version"], step["time"]) == (__version__, "2025-06-15T15:06:40Z")
    assert (step["device"], step["previous"]) == ("cpu", [])
    assert re.fullmatch(r"train\.[0-9a-f]{8}", step["id"])
    assert provenance.is_chain([step])


def test_a_dataclass_of_any_values_can_be_recorded() -> None:
    @dataclass
    class Config:
        path: Path = Path("a/b")
        seen: tuple[int, ...] = (1, 2)

    (step,) = provenance.step(config=asdict(Config()))
    assert step["config"] == {"path": "a/b", "seen": [1, 2]}


def test_the_same_line_has_the_same_name_and_another_has_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = provenance.step(config={"seed": 1})
    assert provenance.step(config={"seed": 1}) == first
    assert provenance.step(config={"seed": 2})[0]["id"] != first[0]["id"]
    monkeypatch.setattr(sys, "argv", ["invtool", "train"])
    assert provenance.step(config={"seed": 1})[0]["id"] != first[0]["id"]


def test_shared_ancestors_are_told_once() -> None:
    root = provenance.step(config={"step": 0})
    left, right = (provenance.step(config={"step": n}, inputs=[root]) for n in (1, 2))
    both = provenance.step(config={"step": 3}, inputs=[left, right])
    assert [s["config"]["step"] for s in both] == [0, 1, 2, 3]
    assert both[-1]["previous"] == [left[-1]["id"], right[-1]["id"]]
    assert all(s["previous"] == [root[0]["id"]] for s in (left[-1], right[-1]))


def test_history_has_the_newest_first() -> None:
    root = provenance.step(config={"step": 0})
    chain = provenance.step(config={"step": 1}, inputs=[root])
    text = provenance.history([{**chain[0], "time": "old"}, chain[1]])
    assert [line.split(":")[0] for line in text.splitlines()] == ["2025-06-15T15", "old"]


def test_nothing_is_recorded_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "recording", False)
    assert provenance.step(config={"seed": 1}) == []


def test_the_time_is_now_without_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", provenance.now())


@pytest.mark.parametrize("epoch", ["today", "1e9", "9" * 30])
def test_an_epoch_that_is_no_number_is_refused(epoch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(InvtoolError, match=r"SOURCE_DATE_EPOCH=.*: a number of seconds is wanted"):
        provenance.now()


@pytest.mark.parametrize(
    "steps", [None, 3, {}, ["x"], [{}], [{"id": 1, "time": "", "command": ""}]]
)
def test_what_is_no_chain(steps: object) -> None:
    assert not provenance.is_chain(steps)

"""What torchrun starts as one job: equal to one process, one voice, and one end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ranked import Ranks
from safetensors.numpy import load_file
from small import invoke, room

from invtool import ranks
from invtool.files.models import read_metadata

TRAIN = "train --data small.h5 --network py:nets:make --seen 2 --transform salt-pepper --epochs 3"
TRAIN += " --batch-size 7 --precision fp32"
ILL = "--untrained --data small.h5 -t blur --size 8 --mean 0,0,0 --std 1,1,1"
SICK = '''
import os

class Sick(nn.Module):
    """On rank 1 it is ill, in one of several ways."""

    def __init__(self, how):
        super().__init__()
        self.how, self.network = how, wide()

    def forward(self, x):
        if os.environ.get("RANK") == "1":
            if self.how == "killed":
                os.kill(os.getpid(), 9)
            if self.how == "bug":
                return x.frobnicate()
            return self.network(x) * float("nan")
        return self.network(x)

def nan():
    return Sick("nan")

def bug():
    return Sick("bug")

def killed():
    return Sick("killed")
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A room with a trained network and its activations."""
    path = tmp_path_factory.mktemp("ranks")
    with room(path) as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with Path("nets.py").open("a") as networks:
            networks.write(SICK)
        assert invoke(TRAIN, "-q", "-o", "model.st") == 0
        assert invoke("activations model.st -t salt-pepper -o activations.h5") == 0
        yield path


@pytest.fixture(scope="module")
def two(folder: Path) -> Iterator[Ranks]:
    started = Ranks(2, folder)
    yield started
    started.stop()


def numbers(path: Path) -> dict[str, Any]:
    """Every array of numbers in an HDF5 file."""
    found = {}

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub":
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(add)
    return found


def assert_same(one: Path, other: Path) -> None:
    first, second = numbers(one), numbers(other)
    assert first.keys() == second.keys()
    for name, values in first.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(second[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(second[name], values, err_msg=name)


def distance(one: Path, other: Path) -> float:
    """The largest of two models' differences, by the largest weight of its array."""
    first, second = load_file(one), load_file(other)
    assert first.keys() == second.keys()
    return max(
        float(np.abs(values - second[name]).max() / (np.abs(values).max() + 1e-9))
        for name, values in first.items()
    )


SLOW = pytest.mark.slow  # importing what tells how a network subsamples takes seconds
LINES = {
    "activations": "activations model.st -t rotate:degrees=30 -t salt-pepper",
    "evaluate": "evaluate model.st -t salt-pepper --tta 1,3",
    "invariance": "invariance model.st -t salt-pepper -t blur --tau 0.1",
    "invariance-at-once": "invariance model.st -t salt-pepper --tau 0",
    "invariance-of-a-file": "invariance activations.h5",
    "ablate": "ablate model.st -t salt-pepper",
    "jagged": "jagged model.st --object 4",
    "shiftable": "shiftable model.st --object 4",
    "deform": "deform model.st --worst --steps 2 --noise --draws 2",
    "deform-of-pairs": "deform model.st --paired 2",
    "sweep": "sweep model.st -t salt-pepper -t blur",
}


@pytest.mark.parametrize("limit", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=SLOW) if name == "shiftable" else name for name in LINES]
)
def test_two_ranks_find_what_one_process_finds(
    name: str, limit: int, two: Ranks, tmp_path: Path
) -> None:
    """Of an odd number of images, and of fewer than there are ranks."""
    images = max(limit, 2) if name.startswith("deform") else limit  # distances want two
    line = LINES[name] + (f" --limit {images}" if name != "invariance-of-a-file" else "")
    done = two.run(line, "-o", tmp_path / "two.h5")
    assert (done.code, done.out) == (0, "")
    assert invoke(line, "-q", "-o", tmp_path / "one.h5") == 0
    assert_same(tmp_path / "one.h5", tmp_path / "two.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.h5", "two.h5"]


def test_a_difference_would_be_found(folder: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        line = f"evaluate model.st -t salt-pepper --tta 1,3 --seed {seed}"
        assert invoke(line, "-q", "-o", tmp_path / f"{seed}.h5") == 0
    with pytest.raises(AssertionError):
        assert_same(tmp_path / "0.h5", tmp_path / "1.h5")


def test_rank_0_speaks_and_the_record_tells_of_the_ranks(two: Ranks, folder: Path) -> None:
    done = two.run("evaluate model.st --format json")
    result = json.loads(done.out)
    assert done.code == 0
    assert result["provenance"][-1]["ranks"] == 2
    assert "ranks" not in result["provenance"][0]


def test_help_comes_once(two: Ranks) -> None:
    done = two.run("evaluate --help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: ")


def test_two_ranks_train_what_one_process_trains(two: Ranks, folder: Path) -> None:
    """Random transforms, uneven shares of a batch, batch normalization and dropout among it."""
    done = two.run(TRAIN, "-q", "--checkpoint-at", "0,3", "-o", "together.st")
    assert done.code == 0
    assert distance(folder / "model.st", folder / "together.st") < 1e-4
    logs = [Path(f"{name}.jsonl").read_text().splitlines() for name in ("model", "together")]
    for one, other in zip(*(map(json.loads, log) for log in logs), strict=True):
        for value in (one, other):
            del value["images_per_second"]
        assert other.pop("loss") == pytest.approx(one.pop("loss"), rel=1e-4)
        assert one == other
    assert sorted(path.name for path in Path("together.steps").iterdir()) == [
        "step-000000.st",
        "step-000003.st",
    ]
    assert not list(folder.glob("together.checkpoint*"))


@pytest.mark.slow
def test_a_search_of_two_ranks_is_that_of_one(two: Ranks, folder: Path) -> None:
    line = f"{TRAIN} --search --search-rates 0.1,0.01,100 --search-decays 0.0005 -q"
    assert two.run(line, "-o", "found-by-two.st").code == 0
    assert invoke(line, "-o", "found.st") == 0
    assert distance(folder / "found.st", folder / "found-by-two.st") < 1e-4
    assert not list(folder.glob("found*checkpoint*"))


def test_who_was_stopped_goes_on_with_any_number_of_ranks(two: Ranks, folder: Path) -> None:
    line = f"{TRAIN} --epochs 60"
    assert invoke(line, "-o", "whole.st") == 0
    checkpoint, log = Path("part.checkpoint.st"), Path("part.checkpoint.jsonl")
    two.start(*line.split(), "-o", "part.st")
    _until(lambda: log.exists() and len(log.read_text().splitlines()) > 1)
    two.processes[1].send_signal(signal.SIGTERM)  # what one hears, all do
    first, second = two.ended()
    assert (first.code, first.out) == (143, "")
    assert (second.code, second.out, second.err) == (143, "", "")
    step = read_metadata(checkpoint)["step"]
    assert f"stopped after step {step} of" in first.err
    assert not Path("part.st").exists()
    kept = {path: path.read_bytes() for path in (checkpoint, log)}
    assert two.run("train --resume -q -o part.st").code == 0
    assert distance(folder / "whole.st", folder / "part.st") < 1e-3
    for path, content in kept.items():
        path.write_bytes(content)
    Path("part.st").unlink()
    assert invoke("train --resume -q -o part.st") == 0
    assert distance(folder / "whole.st", folder / "part.st") < 1e-3


def _until(true: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("evaluate none.st", 1, "evaluate: none.st: no such file"),
        (
            "evaluate model.st -o activations.h5",
            2,
            "evaluate: activations.h5 exists; pass --overwrite to replace it",
        ),
        ("evaluate model.st --foo", 2, "evaluate: no such option: --foo"),
        ("evaluate -", 2, "evaluate: 2 ranks cannot share what comes through a pipe; name a FILE"),
        (
            "evaluate model.st --device cuda:0",
            2,
            "evaluate: --device cuda:0: of several ranks each takes its own GPU; use cuda or cpu",
        ),
        ("train --resume -o never.st", 1, "train: never.st: no checkpoint to go on from"),
        (f"{TRAIN} --batch-size 1 -o never.st", 2, "train: --batch-size 1: 2 ranks share a batch"),
        ("transform small.h5", 2, "transform: transform runs in one process; start it without"),
        (
            f"evaluate py:nets:nan {ILL} -o nan.h5",
            1,
            "evaluate: py:nets:nan answers NaN or infinity",
        ),
        (
            f"activations py:nets:nan {ILL} -o nan.h5",
            1,
            "activations: py:nets:nan answers NaN or infinity",
        ),
        (
            "train --data small.h5 --network py:nets:deaf --transform blur -q -o never.st",
            1,
            "train: py:nets:deaf does not run on small.h5",
        ),
        (f"{TRAIN} --learning-rate 1e30 -q -o never.st", 1, "train: training diverged in epoch 1"),
    ],
)
def test_a_failure_is_one_sentence(
    line: str, code: int, sentence: str, two: Ranks, folder: Path
) -> None:
    before = sorted(folder.iterdir())
    done = two.run(line)
    assert (done.code, done.out) == (code, "")
    lines = [text for text in done.err.splitlines() if "runs your own code" not in text]
    assert len(lines) == 1
    assert lines[0].startswith(f"invtool {sentence}")
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("weights", [[3, 3, 3, 3], [1], [5, 1, 1, 1], [], [0, 0], [1, 2, 3, 4, 50]])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_are_all_without_overlap(
    size: int, weights: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "size", size)
    plain, weighed = [], []
    for rank in range(size):
        monkeypatch.setattr(ranks, "rank", rank)
        plain += list(range(13))[ranks.share(13)]
        weighed += list(range(len(weights)))[ranks.share_of(weights)]
    assert plain == list(range(13))
    assert weighed == list(range(len(weights)))


def test_equal_weights_are_shared_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "size", 4)
    assert ranks.share_of([2] * 8) == slice(0, 2)
    assert ranks.share(10) == slice(0, 2)


def test_without_torchrun_nothing_of_it_is_imported(folder: Path) -> None:
    code = (
        "import sys; from invtool.cli import _app; _app.run(['evaluate', 'model.st', '-q', '-o', 'x.csv']);"
        "print([name for name in sys.modules if name.startswith('invtool.ranks.')])"
    )
    env = {name: value for name, value in os.environ.items() if name != "RANK"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def torchrun(*line: str, before: Sequence[str] = (), **options: str) -> subprocess.Popen[str]:
    """Two ranks, unless told otherwise; `before` is a command that runs torchrun."""
    told = {"nproc_per_node": "2", **options}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in told.items()]
    program = [str(Path(sys.executable).parent / "torchrun"), *words, "-m", "invtool", *line]
    return subprocess.Popen(
        [*before, *program],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sentences(err: str) -> list[str]:
    """What invtool says, without what torchrun adds."""
    said = [line for line in err.splitlines() if line.startswith("invtool ")]
    return [line for line in said if "runs your own code" not in line and "FAILED" not in line]


def test_torchrun(folder: Path) -> None:
    started = torchrun("evaluate", "model.st", "--format", "csv")
    out, err = started.communicate(timeout=300)
    assert (started.returncode, sentences(err)) == (0, [])
    assert invoke("evaluate model.st -o one.csv") == 0
    assert out == Path("one.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("nan", "invtool evaluate: py:nets:nan answers NaN or infinity; are its weights whole?"),
        ("killed", "invtool evaluate: rank 1 of 2 was killed, or its host was lost"),
        ("bug", None),
    ],
)
def test_a_rank_that_fails_ends_all(how: str, sentence: str | None, folder: Path) -> None:
    line = f"evaluate py:nets:{how} {ILL} -o ill.h5"
    before = sorted(folder.iterdir())
    started = torchrun(*line.split())
    _, err = started.communicate(timeout=300)
    assert started.returncode == 1
    assert sentences(err) == ([sentence] if sentence else [])
    assert err.count("AttributeError") == (0 if sentence else 1)
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_training_goes_on_after_a_rank_was_killed(rank: int, folder: Path) -> None:
    name = f"killed-{rank}"
    line = f"{TRAIN} --epochs 200 --checkpoint-every 0 -q -o {name}.st"
    started = torchrun(*line.split())
    log = Path(f"{name}.checkpoint.jsonl")
    _until(lambda: log.exists() and log.read_text().count("\n") > 1, 300)
    began = time.monotonic()
    os.kill(_process_of(rank, started.pid), signal.SIGKILL)
    _, err = started.communicate(timeout=60)
    assert time.monotonic() - began < 60
    assert started.returncode == 1
    assert sentences(err) == [f"invtool train: rank {rank} of 2 was killed, or its host was lost"]
    assert invoke(f"verify {name}.checkpoint.st") == 0
    assert not Path(f"{name}.st").exists()
    assert invoke(f"train --resume -q -o {name}.st") == 0
    assert invoke(line.replace(name, f"whole-{rank}")) == 0
    assert distance(folder / f"whole-{rank}.st", folder / f"{name}.st") < 1e-2


def _process_of(rank: int, parent: int) -> int:
    for status in Path("/proc").glob("[0-9]*/stat"):
        pid = int(status.parent.name)
        if int(status.read_text().rpartition(")")[2].split()[1]) == parent and (
            f"RANK={rank}".encode() in (status.parent / "environ").read_bytes().split(b"\0")
        ):
            return pid
    raise AssertionError(f"no process of rank {rank}")


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two network namespaces, joined by a cable; their names, and those of their ends of it."""
    names = [f"invtool-{number}" for number in range(2)]
    commands = [f"netns add {name}" for name in names]
    commands += [f"link add {names[0]} netns {names[0]} type veth peer {names[1]} netns {names[1]}"]
    for number, name in enumerate(names):
        commands += [
            f"-n {name} link set lo up",
            f"-n {name} addr add 10.97.0.{number + 1}/24 dev {name}",
            f"-n {name} link set {name} up",
        ]
    try:
        for command in commands:
            done = subprocess.run(["ip", *command.split()], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no network namespaces here: {done.stderr}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def on_hosts(hosts: Sequence[str], line: str) -> list[subprocess.Popen[str]]:
    """A rank on each."""
    options = {"nproc_per_node": "1", "nnodes": "2", "master_addr": "10.97.0.1"}
    started = []
    for number, host in enumerate(hosts):
        inside = f"ip netns exec {host} env GLOO_SOCKET_IFNAME={host}".split()
        options |= {"node_rank": str(number), "master_port": "29511"}
        started.append(torchrun(*line.split(), before=inside, **options))
    return started


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("ip"), reason="wants iproute2")
def test_two_hosts_train_together(hosts: list[str], folder: Path) -> None:
    started = on_hosts(hosts, f"{TRAIN} -q -o hosts.st")
    outs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert outs[0].startswith("accuracy on test images")
    assert outs[1] == ""
    assert distance(folder / "model.st", folder / "hosts.st") < 1e-4


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("ip"), reason="wants iproute2")
def test_two_hosts_that_lose_each_other_end(hosts: list[str], folder: Path) -> None:
    started = on_hosts(hosts, f"{TRAIN} --epochs 100000 -q -o lost.st")
    log = Path("lost.checkpoint.jsonl")
    _until(lambda: log.exists() and log.read_text().count("\n") > 1, 300)
    subprocess.run(["ip", "-n", hosts[0], "link", "set", hosts[0], "down"], check=True)
    began = time.monotonic()
    for number, process in enumerate(started):
        _, err = process.communicate(timeout=90)
        assert process.returncode == 1
        assert f"rank {1 - number} of 2 was killed, or its host was lost" in err
    assert time.monotonic() - began < 60
    assert invoke("verify lost.checkpoint.st") == 0

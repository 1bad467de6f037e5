"""Training on 8 hosts that are joined by cables of limited bandwidth, beside what a step should take.

Each host is a network namespace with one rank, its cable goes to a switch, and a token bucket limits
what it sends. All share the cores of this machine: what a step takes on cables without limit
is eight hosts' arithmetic on these cores, and what a limit adds is the network's. It is expected to be

    2 (n - 1) / n W / rate

where W is the bytes of the gradients, which go twice round a ring of n hosts, in n parts. What batch
normalization sends is little; it waits often, which a limit of bandwidth does not show.

Wants Linux, root, and iproute2 with its token bucket (tbf).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from measure import Spread, Table, main
from safetensors.numpy import load_file

HOSTS, BATCH, TURNS = 8, 64, 2
RATES = (None, 100, 20)  # megabits a second that a host may send
NETWORK = "blocks:filters=16"
DATA = "faces:categories=8,train=64,test=8,size=16"
EPOCHS = 3  # the first is not counted


def measured(quick: bool) -> list[Table]:
    hosts, rates, turns = (2, RATES[:2], 1) if quick else (HOSTS, RATES, TURNS)
    table = Table(f"{NETWORK}, {BATCH} images a step, {hosts} hosts, seconds a step")
    if os.geteuid():
        table.rows.append("missing: network namespaces want root")
        return [table]
    seconds: dict[int | None, list[float]] = {rate: [] for rate in rates}
    for _ in range(turns):
        for rate in rates:
            with switched(hosts, rate) as names:
                step, weights = train(names)
                seconds[rate].append(step)
    alone = Spread(tuple(seconds[None]))
    for rate in rates:
        taken = Spread(tuple(seconds[rate]))
        row: dict[str, object] = {"megabits/s": rate or "no limit", "a step": taken}
        if rate:
            expected = 2 * (hosts - 1) / hosts * weights / (rate * 1e6 / 8)
            added = taken + alone.map(lambda each: -each)
            row |= {"added": added, "expected": expected}
            row["added / expected"] = added.map(lambda each, e=expected: each / e)
        table.rows.append(row)
    table.note = f"W is {weights / 1e6:.2f} MB"
    return [table]


@contextmanager
def switched(hosts: int, rate: int | None) -> Iterator[list[str]]:
    """Namespaces whose cables meet in a bridge of this host; each may send `rate` megabits a second."""
    names = [f"nodes-{number}" for number in range(hosts)]
    commands = ["ip link add nodes type bridge", "ip link set nodes up"]
    for number, name in enumerate(names):
        commands += [
            f"ip netns add {name}",
            f"ip link add {name} netns {name} type veth peer name {name}",
            f"ip link set {name} master nodes",
            f"ip link set {name} up",
            f"ip -n {name} link set lo up",
            f"ip -n {name} addr add 10.98.0.{number + 1}/24 dev {name}",
            f"ip -n {name} link set {name} up",
        ]
        if rate:
            bucket = f"tbf rate {rate}mbit burst 64kb latency 2s"
            commands.append(f"ip netns exec {name} tc qdisc add dev {name} root {bucket}")
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", "nodes"], capture_output=True)


def train(hosts: Sequence[str]) -> tuple[float, int]:
    """Seconds a step, of the epochs after the first, and bytes of the gradients."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.st"
        line = ["-m", "invtool", "train", "-q", "-d", DATA, "-n", NETWORK, "-o", str(model)]
        line += ["--epochs", str(EPOCHS), "--batch-size", str(BATCH), "--precision", "fp32"]
        job = ["--nproc-per-node=1", f"--nnodes={len(hosts)}", "--master-addr=10.98.0.1"]
        job += ["--master-port=29517"]
        torchrun = str(Path(sys.executable).parent / "torchrun")
        started = [
            subprocess.Popen(
                ["ip", "netns", "exec", host, torchrun, *job, f"--node-rank={n}", *line],
                env={**os.environ, "GLOO_SOCKET_IFNAME": host, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
            )
            for n, host in enumerate(hosts)
        ]
        ends = [process.wait() for process in started]
        if any(ends):
            raise RuntimeError("a host failed")
        log = [json.loads(each) for each in model.with_suffix(".jsonl").read_text().splitlines()]
        weights = load_file(model)
        rates = [entry["images_per_second"] for entry in log[1:]]
        return BATCH * len(rates) / sum(rates), sum(
            w.nbytes for n, w in weights.items() if "running" not in n
        )


if __name__ == "__main__":
    main(measured, text=__doc__)

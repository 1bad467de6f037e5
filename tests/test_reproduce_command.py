"""Workflows: their plans, what is refused, what Snakemake is told, and how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small import invoke

from invtool.stages import _refusals, _studies, reproduce

STUDIES = ["categories", "shifts", "deformation", "sensitivity"]
TINY = "faces:categories=6,size=16,test=4,train=8"
CONFIG = (
    *("--config", "epochs=1", 'recipe=["--epochs","1"]', "calibrate=[]", 'transforms=["rot90"]'),
    "seen=[0.5,1.0]",
)
DRY = """\
Building DAG of jobs...
[Tue Nov 24 20:17:13 2026]
rule train:
    output: networks/a.st
    resources: tmpdir=/tmp, trained=240
[Tue Nov 24 20:17:13 2026]
rule train:
    output: networks/b.st
    resources: tmpdir=/tmp, trained=240
[Tue Nov 24 20:17:13 2026]
rule sweep:
    input: networks/a.st
    resources: tmpdir=/tmp, shown=70
[Tue Nov 24 20:17:13 2026]
localrule all:
    input: index.html
    resources: tmpdir=/tmp
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(text: str) -> dict[str, list[int]]:
    """Jobs, images trained on and forward passes of each rule of a printed plan."""
    words = [line.split() for line in text.splitlines()[2:]]
    return {rule: [int(number) for number in numbers] for rule, *numbers in words}


@pytest.mark.parametrize(
    "study",
    [
        *("categories", "deformation"),
        pytest.param("shifts", marks=pytest.mark.slow),
        pytest.param("sensitivity", marks=pytest.mark.slow),
    ],
)
def test_a_dry_run_plans_the_study_and_leaves_nothing(
    study: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert invoke(f"reproduce {study} --dry-run") == 0
    plan = rows(capfd.readouterr().out)
    figures = len(_studies.read(study)["figure"])
    assert plan["page"] == [1, 0, 0]
    assert figures - 1 <= plan["figure"][0] <= figures  # bias wants boxes
    assert plan["train"][1] > 0
    assert [sum(column) for column in zip(*plan.values(), strict=True)] == [
        2 * n for n in plan["all"]
    ]
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_the_papers_grid_is_planned_by_its_counts(capfd: pytest.CaptureFixture[str]) -> None:
    data = "faces:categories=388,train=2,test=1,size=16"
    assert invoke(f"reproduce categories --scale paper --data {data} -n") == 0
    plan = rows(capfd.readouterr().out)
    networks = 12 * 6 * 5 + 5  # transforms, seen counts, seeds, and those that saw none
    assert plan["train"] == [networks, networks * 45 * 388 * 2, 0]
    assert plan["invariance"][0] == 12 * 7 * 5


def test_costs_are_summed_by_rule() -> None:
    assert [tuple(row.values()) for row in reproduce.costs(DRY)] == [
        ("train", 2, 480, 0),
        ("sweep", 1, 0, 70),
        ("all", 3, 480, 70),
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("reproduce categories --data nothing.h5", "nothing.h5: no such file"),
        ("reproduce categories --data facse", "did you mean faces?"),
        ("reproduce categories -o no/where", "no/where cannot be a folder"),
        ("reproduce categories --data -", "not standard input"),
        ("reproduce shifts --scale paper", "give --data, as folder:photos"),
        ("reproduce shapes", "'shapes' is not one of"),
    ],
)
def test_it_refuses(
    line: str, sentence: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert invoke(line) in (1, 2)
    assert sentence in " ".join(capfd.readouterr().err.split())
    assert not (here / "reproduce-categories/settings.json").exists()


def test_without_snakemake_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_refusals, "find_spec", lambda _: None)
    assert invoke("reproduce categories") == 1
    assert capfd.readouterr().err == (
        "invtool reproduce: workflows need Snakemake; pip install 'invtool[studies]'\n"
    )


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines that Snakemake would get."""
    lines: list[list[str]] = []
    monkeypatch.setattr(reproduce, "_watched", lambda command: lines.append(command) or 0)
    return lines


def test_what_follows_the_dashes_goes_to_snakemake_unchanged(told: list[list[str]]) -> None:
    options = ["--cores", "3", "--config", "seeds=2", "figures/seen.png"]
    assert invoke("reproduce categories -q --", *options) == 0
    assert told[0][-len(options) :] == options
    assert "all" not in told[0][told[0].index("--nolock") : told[0].index("--quiet")]


@pytest.mark.parametrize(
    ("options", "all_cores"),
    [
        ([], True),
        (["--keep-going"], True),
        (["--config", "seeds=2"], True),
        (["-j4"], False),
        (["--jobs=4"], False),
        (["--executor", "slurm"], False),
        (["-c", "1"], False),
    ],
)
def test_all_cores_unless_told(options: list[str], all_cores: bool, told: list[list[str]]) -> None:
    assert invoke("reproduce shifts --", *options) == 0
    assert (told[0][-len(options) - 6 : -len(options) - 4] == ["--cores", "all"]) == all_cores


def test_a_folder_keeps_its_data_and_scale(
    told: list[list[str]], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert invoke(f"reproduce categories --data {TINY} -o out") == 0
    before = (here / "out/settings.json").read_text()
    held = json.loads(before)
    assert (held["data"], held["scale"]) == (TINY, "small")
    assert held["images"] == {"categories": 6, "train": 48, "test": 24}
    assert invoke(f"reproduce categories --data {TINY} -o out") == 0
    assert invoke("reproduce categories -o out") == 1
    assert f"with --data {TINY}" in capfd.readouterr().err
    assert (here / "out/settings.json").read_text() == before
    assert len(told) == 2


def test_a_file_of_images_is_found_from_the_folder_and_counted(
    told: list[list[str]], here: Path
) -> None:
    from small import write_set

    write_set(here / "small.h5", train=32, test=12)
    assert invoke("reproduce shifts --data small.h5") == 0
    held = json.loads((here / "reproduce-shifts/settings.json").read_text())
    assert held["data"] == str(here / "small.h5")
    assert held["images"] == {"categories": 4, "train": 32, "test": 12}


def test_one_run_at_a_time(
    here: Path, told: list[list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "out").mkdir()
    with reproduce._alone(here / "out"):
        assert invoke("reproduce categories -o out") == 1
    assert "another invtool reproduce is at work in out" in capfd.readouterr().err
    assert invoke("reproduce categories -o out") == 0


def test_a_failing_job_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reproduce, "_watched", lambda _: 1)
    assert invoke("reproduce categories -o out") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "the workflow in out is not through" in line


ENDED = """
import signal, sys
from invtool.files import interrupts
from invtool.stages import reproduce
interrupts.install()
reproduce._watched(["bash", "-c", "sleep 60 & echo $! > child; echo $$ > parent; wait"])
"""


def test_sigterm_ends_snakemake_and_its_jobs(here: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ENDED], cwd=here) as running:
        deadline = time.monotonic() + 30
        while not (here / "parent").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 143
    for name in ("parent", "child"):
        stat = Path(f"/proc/{(here / name).read_text().strip()}/stat")
        assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_every_figure_has_a_caption() -> None:
    for study in STUDIES:
        text = (_studies.FOLDER / f"{study}.smk").read_text()
        for figure in _studies.read(study)["figure"]:
            assert f'"{figure["name"]}"' in text or "**{" in text, figure["name"]


LINE = ["reproduce", "categories", "--data", TINY, "-o", "out"]


def command(line: list[str], **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **extra}
    return subprocess.run(
        [sys.executable, "-m", "invtool", *line], capture_output=True, text=True, env=environment
    )


SBATCH = """#!/bin/bash
# A queue that runs each job at once, beside the others, and tells its number.
echo "$1" >> "$(dirname "$0")/submitted"
bash "${!#}" > /dev/null 2>&1 &
echo $!
"""


@pytest.mark.slow
def test_jobs_run_where_sbatch_takes_them(here: Path) -> None:
    (here / "sbatch").write_text(SBATCH)
    (here / "sbatch").chmod(0o755)
    done = command(
        [
            *(*LINE, "--", *CONFIG, "--jobs", "4", "--latency-wait", "60"),
            *("--executor", "cluster-generic"),
            *("--cluster-generic-submit-cmd", "sbatch {rule}", "--", "results/matrix.h5"),
        ],
        PATH=f"{here}:{os.environ['PATH']}",
    )
    assert done.returncode == 0, done.stderr
    assert sorted((here / "submitted").read_text().split()) == ["matrix", "train", "train"]
    assert (here / "out/results/matrix.h5").exists()


@pytest.mark.slow
def test_an_interrupted_study_goes_on_with_what_is_missing_to_the_page(here: Path) -> None:
    options = ["--", *CONFIG, "--cores", "1"]
    line = [sys.executable, "-m", "invtool", *LINE, *options]
    with subprocess.Popen(line, env={**os.environ, "OMP_NUM_THREADS": "1"}) as running:
        while len(list(here.glob("out/networks/*[0-9].st"))) < 2 and running.poll() is None:
            time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
        assert running.wait(120) == 143
    whole = {path: path.stat().st_mtime_ns for path in here.glob("out/networks/*[0-9].st")}
    assert len(whole) >= 2 and not (here / "out/index.html").exists()
    done = command([*LINE, *options])
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    page = (here / "out/index.html").read_text()
    assert page.count("data:image/png;base64,") == 9
    assert "Accuracy across categories rises" in page and "invtool train -d faces" in page
    (here / "out").rename(here / "moved")
    again = command([*LINE[:-1], "moved", "--dry-run", *options])
    assert rows(again.stdout) == {"all": [0, 0, 0]}

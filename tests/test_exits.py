"""Exit codes, and one sentence for each failure that a user can act on."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import INVTOOL, Runner, write_activations, write_images, write_invariance

from invtool import __version__
from invtool.cli._app import COMMANDS
from invtool.files import interrupts, messages, streams

NAMES = [name for table in COMMANDS.values() for name in table]


def test_done(invtool: Runner) -> None:
    for line in ("--version", "-V", "--help", "inspect --help"):
        done = invtool(*line.split())
        assert (done.returncode, done.stderr) == (0, "")
    assert invtool("-V").stdout == f"invtool {__version__}\n"


def test_no_command_shows_the_help_and_fails(invtool: Runner) -> None:
    done = invtool()
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == invtool("--help").stdout
    assert all(f"  {name} " in done.stdout for name in NAMES)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("trian", "invtool: no command 'trian'; did you mean train?"),
        ("qqqq", "invtool: no command 'qqqq'; see invtool --help"),
        ("--colour", "invtool: no such option: --colour; see invtool --help"),
        (
            "inspect --jso",
            "invtool inspect: no such option: --jso (Possible options: --json); see invtool inspect --help",
        ),
        ("verify", "invtool verify: missing argument 'FILE...'; see invtool verify --help"),
        ("inspect --json --commands", "invtool inspect: --json and --commands exclude each other"),
    ],
)
def test_a_wrong_line_is_two_and_one_sentence(line: str, sentence: str, invtool: Runner) -> None:
    done = invtool(*line.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence + "\n")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("inspect missing.h5", "invtool inspect: missing.h5: no such file"),
        ("inspect .", "invtool inspect: . is a folder; a file is wanted"),
        ("inspect text", "invtool inspect: text: neither HDF5 nor safetensors"),
        ("inspect empty", "invtool inspect: empty: empty; an HDF5 file is wanted"),
        ("invariance images.h5 -o x.h5", "holds images; activations is wanted"),
    ],
)
def test_a_failed_run_is_one_and_one_sentence(
    line: str, sentence: str, invtool: Runner, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("hello, world\n")
    (tmp_path / "empty").touch()
    write_images(tmp_path / "images.h5")
    done = invtool(*line.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x.h5").exists()


def test_debug_shows_the_traceback(invtool: Runner) -> None:
    done = invtool("inspect", "missing.h5", env={"INVTOOL_DEBUG": "1"})
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("invtool.errors.InvtoolError: missing.h5: no such file\n")


@pytest.mark.parametrize(
    "line", ["--version", "--help", "inspect --help", "inspect a.h5", "inspect"]
)
def test_a_full_disk_is_one_sentence(line: str, tmp_path: Path) -> None:
    write_images(tmp_path / "a.h5")
    with (tmp_path / "a.h5").open("rb") as source, Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*INVTOOL, *line.split()],
            stdin=source,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
    assert done.returncode == 1
    assert done.stderr.endswith(": output: No space left on device\n")
    assert done.stderr.count("\n") == 1


def test_a_full_disk_under_binary_output(tmp_path: Path) -> None:
    write_activations(tmp_path / "a.h5")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*INVTOOL, "invariance", tmp_path / "a.h5"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "invtool invariance: output: No space left on device\n",
    )


@pytest.mark.parametrize("line", ["inspect a.h5", "inspect --help", "--version", "invariance a.h5"])
def test_a_reader_that_left_is_141_and_silent(line: str, tmp_path: Path) -> None:
    write_activations(tmp_path / "a.h5")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*INVTOOL, *line.split()], stdout=writer, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_head_is_content(tmp_path: Path) -> None:
    write_invariance(tmp_path / "a.h5", layers=50)
    command = " ".join(INVTOOL)
    line = f"{command} inspect --json a.h5 | head -c 1; echo ${{PIPESTATUS[*]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout in ("{141 0\n", "{0 0\n")  # by who was first
    assert done.stderr == ""


def test_binary_is_not_written_to_a_terminal(tmp_path: Path) -> None:
    write_activations(tmp_path / "a.h5")
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*INVTOOL, "invariance", "--format", "h5", tmp_path / "a.h5"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    os.close(ours)
    assert (done.returncode, done.stderr) == (
        2,
        "invtool invariance: refusing to write binary data to a terminal; use -o FILE or a pipe\n",
    )


def test_an_existing_output_is_refused_before_any_work(invtool: Runner, tmp_path: Path) -> None:
    (tmp_path / "out.h5").write_text("precious")
    (tmp_path / "broken.h5").write_text("would fail if it were read")
    done = invtool("invariance", "broken.h5", "-o", "out.h5")
    assert (done.returncode, done.stderr) == (
        2,
        "invtool invariance: out.h5 exists; pass --overwrite to replace it\n",
    )
    done = invtool("invariance", "broken.h5", "-o", "out.h5", "--overwrite")
    assert done.returncode == 1  # read, and refused: the old output stays
    assert (tmp_path / "out.h5").read_text() == "precious"
    write_activations(tmp_path / "good.h5")
    assert invtool("invariance", "good.h5", "-o", "out.h5", "--overwrite").returncode == 0
    assert (tmp_path / "out.h5").read_bytes()[1:4] == b"HDF"


def test_outputs_that_are_no_files_stay_what_they_are(invtool: Runner, tmp_path: Path) -> None:
    write_activations(tmp_path / "a.h5")
    assert invtool("invariance", "a.h5", "-f", "h5", "-o", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()
    (tmp_path / "link.h5").symlink_to("target.h5")
    assert invtool("invariance", "a.h5", "-o", "link.h5").returncode == 0
    assert (tmp_path / "link.h5").is_symlink()
    whole = (tmp_path / "target.h5").read_bytes()
    os.mkfifo(tmp_path / "fifo")
    with subprocess.Popen(["cat", tmp_path / "fifo"], stdout=subprocess.PIPE) as reader:
        done = invtool("invariance", "a.h5", "-f", "h5", "-o", "fifo")
        assert reader.stdout is not None
        assert len(reader.stdout.read()) == pytest.approx(len(whole), abs=100)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_neither_half_a_file_nor_a_temporary(
    number: int, code: int, tmp_path: Path
) -> None:
    """Stopped while it fills the output: a FIFO that nobody reads makes sure that it still does."""
    write_activations(tmp_path / "a.h5")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "tmp").mkdir()
    with subprocess.Popen(
        [*INVTOOL, "invariance", "a.h5", "-f", "h5", "-o", "fifo"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    ) as process:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in (tmp_path / "tmp").glob("*.out")):
            assert time.monotonic() < deadline, "no temporary appeared"
            time.sleep(0.02)
        process.send_signal(number)
        try:
            _, told = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == code
    assert told.decode() == ("invtool invariance: interrupted\n" if code == 130 else "")
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_that_a_callback_swallowed_stops_what_would_be_published(
    number: int, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "asked", 0)
    target = tmp_path / "a.h5"
    with pytest.raises(error), streams.writing(target) as partial:
        partial.write_text("whole")
        monkeypatch.setattr(interrupts, "asked", number)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(error):
        list(messages.progress([1], total=1, label="", unit=""))


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import sys, invtool.stages.inspect as stage\n"
        "def run(*_): raise ZeroDivisionError('bug')\n"
        "stage.run = run\n"
        "sys.argv = ['invtool', 'inspect', 'broken.py']\n"
        "from invtool.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "broken.py"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: bug\n")


LIMITED = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error, as on a full disk, not a signal
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
sys.argv = ["invtool", *sys.argv[2:]]
runpy.run_module("invtool", run_name="__main__")
"""


@pytest.mark.parametrize("size", [100, 2048, 6000, 8192, 14000])
def test_a_disk_that_fills_while_hdf5_writes_is_one_sentence(size: int, tmp_path: Path) -> None:
    """At any byte: HDF5 by itself crashes at exit where it could not write its last part."""
    write_activations(tmp_path / "a.h5")
    done = subprocess.run(
        [sys.executable, "-B", "-c", LIMITED, str(size), "invariance", "a.h5", "-o", "b.h5"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (1, "invtool invariance: output: File too large\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]

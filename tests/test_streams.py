"""Pipes, terminals and outputs that are whole or absent."""

import os
import pty
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import INVTOOL, Runner, write_images

from invtool.errors import InvtoolError, UsageError
from invtool.files import provenance, streams


def test_a_finished_output_appears_and_its_temporary_goes(tmp_path: Path) -> None:
    out = tmp_path / "a.txt"
    with streams.writing(out) as partial:
        partial.write_text("whole")
        assert not out.exists()
    assert out.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_a_failed_output_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    out = tmp_path / "a.txt"
    out.write_text("old")
    with pytest.raises(error), streams.writing(out) as partial:
        partial.write_text("half")
        raise error
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_writing_goes_through_a_symbolic_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    with streams.writing(link) as partial:
        partial.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_stays_a_device() -> None:
    with streams.writing(Path("/dev/null")) as partial:
        partial.write_text("anything")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_fifos_are_read_and_written(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def write() -> None:
        with streams.writing(fifo) as partial:
            partial.write_bytes(b"through")

    writer = threading.Thread(target=write)
    writer.start()
    with streams.reading(fifo) as path:
        assert path != fifo
        assert path.read_bytes() == b"through"
    writer.join()
    assert not path.exists()
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_what_is_open_is_known_to_provenance(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text("x")
    with streams.reading(source), streams.writing(out) as partial:
        partial.write_text("y")
        (step,) = provenance.step(config={})
    assert (step["reads"], step["writes"]) == ([str(source)], [str(out)])
    assert provenance.sources == provenance.targets == []


def test_check_refuses_before_any_work(tmp_path: Path) -> None:
    there, folder = tmp_path / "there", tmp_path / "folder"
    there.write_text("x")
    folder.mkdir()
    with pytest.raises(UsageError, match="exists; pass --overwrite"):
        streams.check(output=there)
    streams.check(output=there, overwrite=True)
    with pytest.raises(UsageError, match="is a folder; name a file"):
        streams.check(output=folder)
    with pytest.raises(UsageError, match="there is no folder"):
        streams.check(output=tmp_path / "no" / "out")
    with pytest.raises(InvtoolError, match="no such file"):
        streams.check(tmp_path / "missing")
    with pytest.raises(InvtoolError, match="is a folder; a file is wanted"):
        streams.check(folder)


@pytest.mark.parametrize(
    ("asked", "output", "form"),
    [
        ("auto", "a.csv", "csv"),
        ("auto", "a.json", "json"),
        ("auto", "a.txt", "table"),
        ("auto", "a.nc", "h5"),
        ("auto", "-", "h5"),  # not a terminal here
        ("auto", "noending", "h5"),
        ("json", "a.csv", "json"),
    ],
)
def test_the_form_is_as_asked_else_as_the_suffix_says(asked: str, output: str, form: str) -> None:
    assert streams.output_format(asked, Path(output)) == form


def test_an_unknown_suffix_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"unknown suffix '\.xls'; use \.csv"):
        streams.output_format("auto", Path("a.xls"))


def test_a_pipe_is_spooled_and_a_redirect_used_in_place(invtool: Runner, tmp_path: Path) -> None:
    path = write_images(tmp_path / "a.h5")
    piped = invtool("inspect", "--json", input=path.read_bytes(), text=False)
    with path.open("rb") as redirected:
        direct = invtool("inspect", "--json", stdin=redirected)
    assert piped.stdout.decode() == direct.stdout
    assert "standard input" in direct.stdout


def test_an_empty_pipe_blames_the_command_before(invtool: Runner) -> None:
    done = invtool("inspect", input="")
    assert done.returncode == 1
    assert done.stderr == (
        "invtool inspect: standard input is empty; did the command before this one fail?\n"
    )


def test_a_terminal_on_stdin_is_an_error_at_once(invtool: Runner) -> None:
    ours, theirs = pty.openpty()
    done = invtool("inspect", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert done.stderr == "invtool inspect: no input; name a FILE or pipe one in (see --help)\n"


def test_closed_streams_are_errors_and_no_tracebacks(invtool: Runner, tmp_path: Path) -> None:
    write_images(tmp_path / "a.h5")
    line = " ".join(INVTOOL)
    for command, code in (("inspect <&-", 2), ("inspect a.h5 >&-", 0), ("--help >&-", 0)):
        done = subprocess.run(
            ["bash", "-c", f"{line} {command}"], capture_output=True, text=True, cwd=tmp_path
        )
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_no_temporary(number: int, code: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [*INVTOOL, "inspect"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdin is not None
        process.stdin.write(bytes(1 << 20))
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not list(tmp_path.iterdir()):
            assert time.monotonic() < deadline, "no spool appeared"
            time.sleep(0.02)
        process.send_signal(number)
        process.wait(30)
    assert process.returncode == code
    assert list(tmp_path.iterdir()) == []


def test_a_full_temporary_folder_is_told(tmp_path: Path) -> None:
    limited = "import resource, signal, runpy, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
    limited += "sys.argv = ['invtool', 'inspect']; runpy.run_module('invtool', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", limited],
        input=bytes(1 << 16),
        capture_output=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1
    text = done.stderr.decode()
    assert text == (
        f"invtool inspect: standard input does not fit in {tmp_path} (File too large); set TMPDIR\n"
    )

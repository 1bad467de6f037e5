"""What is generated agrees with what it is generated from, and works in a shell."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from invtool.cli import _docs
from invtool.cli._app import COMMANDS
from invtool.files import formats

TOP = Path(__file__).parent.parent
TABLE = {name: text for table in COMMANDS.values() for name, text in table.items()}


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return _docs.generate()


@pytest.fixture(scope="module")
def pages() -> dict[str, _docs.Page]:
    return {page.name: page for page in _docs.pages()}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_says_what_the_command_says(name: str, pages: dict[str, _docs.Page]) -> None:
    assert pages[name].help.splitlines()[0] == TABLE[name]
    assert f"invtool {name}" in pages[name].examples


@pytest.mark.parametrize("name", TABLE)
def test_every_option_says_its_default(name: str, pages: dict[str, _docs.Page]) -> None:
    silent = [
        option.names[-1]
        for option in pages[name].options
        if option.arg and "default" not in option.help and "repeated" not in option.help
    ]
    assert silent == []


@pytest.mark.parametrize("name", TABLE)
def test_help_fits_eighty_columns_but_for_examples(
    name: str, pages: dict[str, _docs.Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from invtool.cli._app import app

    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, [name, "-h"], terminal_width=80)
    body, _, examples = done.output.partition("\nExamples:\n")
    assert max(map(len, body.splitlines())) <= 80
    assert [line.strip() for line in examples.splitlines()] == pages[name].examples.splitlines()


def test_generated_files_are_current(made: dict[str, str]) -> None:
    assert _docs.stale(TOP, made) == [], "run python -m invtool.cli._docs"


def test_stale_files_are_found(tmp_path: Path, made: dict[str, str]) -> None:
    for name, text in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _docs.stale(tmp_path, made) == []
    (tmp_path / "man/invtool.1").write_text("old")
    (tmp_path / "man/invtool-gone.1").write_text("left over")
    (tmp_path / "completions/_invtool").unlink()
    assert _docs.stale(tmp_path, made) == [
        "completions/_invtool",
        "man/invtool-gone.1",
        "man/invtool.1",
    ]


def test_check_names_what_is_stale_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _docs.main(["--check", str(tmp_path)]) == 1
    assert "man/invtool.1 is stale; run python -m invtool.cli._docs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_pages_name_every_variable_exit_code_array_and_key(made: dict[str, str]) -> None:
    root = made["man/invtool.1"].replace("\\-", "-")
    for word in (*_docs.ENVIRONMENT, *_docs.EXITS, *(f"invtool-{name}" for name in TABLE)):
        assert word in root
    page = made["man/invtool-formats.5"].replace("\\-", "-")
    for arrays in formats.KINDS.values():
        assert all(f"/{array.path.replace('*', 'LAYER')} (" in page for array in arrays)
    for key in (*formats.MODEL, *formats.MODEL_OPTIONAL, *formats.ATTRIBUTES, *formats.PROVENANCE):
        assert f"\\fB{key}\\fR" in page


def test_what_provenance_records_is_documented() -> None:
    from invtool.files import provenance

    (step,) = provenance.step(config={})
    assert list(step) == list(formats.PROVENANCE)


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
def test_groff_has_no_complaint(made: dict[str, str]) -> None:
    for name, text in made.items():
        if name.startswith("man/"):
            done = subprocess.run(
                ["groff", "-ww", "-man", "-z", "-Tascii"],
                input=text,
                capture_output=True,
                text=True,
            )
            assert done.stderr == "", name


def complete(*words: str, cwd: Path = TOP) -> list[str]:
    """What bash offers after these words, the last of which is being typed."""
    script = """
    source "$1"; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _invtool 2>/dev/null
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(TOP / "completions/invtool.bash"), *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
    )
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("invtool", "insp"), ["inspect"]),
        (("invtool", "--v"), ["--version"]),
        (("invtool", "inspect", "--c"), ["--commands"]),
        (("invtool", "train", "--transform", "rot1"), ["rot180"]),
        (("invtool", "train", "-t", "rot1"), ["rot180"]),
        (("invtool", "train", "--transform", "=", "rot1"), ["rot180"]),
        (("invtool", "train", "--transform", "="), None),
        (("invtool", "invariance", "--format", ""), ["auto", "table", "json", "csv", "h5"]),
        (("invtool", "invariance", "--layer", "p"), ["penultimate"]),
        (("invtool", "train", "--device", "cu"), ["cuda"]),
        (("invtool", "train", "--seed", ""), [""]),
        (("invtool", "data", "fac"), ["faces"]),
    ],
)
def test_bash_completes(words: tuple[str, ...], offered: list[str] | None) -> None:
    found = complete(*words)
    assert found == offered if offered is not None else "blur" in found


def test_bash_completes_files_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "my result.h5").touch()
    assert complete("invtool", "inspect", "my", cwd=tmp_path) == ["my result.h5"]
    assert complete("invtool", "invariance", "-o", "my", cwd=tmp_path) == ["my result.h5"]


@pytest.mark.parametrize(
    ("shell", "name"), [("bash", "invtool.bash"), ("zsh", "_invtool"), ("fish", "invtool.fish")]
)
def test_the_shell_accepts_its_script(shell: str, name: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    done = subprocess.run([shell, "-n", TOP / "completions" / name], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_fish_completes() -> None:
    if not shutil.which("fish"):
        pytest.skip("needs fish")
    script = f"source {TOP}/completions/invtool.fish; complete -C 'invtool train -t rot1'"
    done = subprocess.run(["fish", "-c", script], capture_output=True, text=True)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["rot180"]


def test_the_wheel_installs_every_page_and_script(made: dict[str, str]) -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    shared: dict[str, str] = wheel["shared-data"]
    assert set(shared) == set(made)
    assert set(shared.values()) == {
        *(
            f"share/man/man{Path(name).suffix[1:]}/{Path(name).name}"
            for name in made
            if "man/" in name
        ),
        "share/bash-completion/completions/invtool",
        "share/zsh/site-functions/_invtool",
        "share/fish/vendor_completions.d/invtool.fish",
    }

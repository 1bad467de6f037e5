"""`invtool plot`: from files to a picture, through the command line and its pipes."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import INVTOOL, STEPS, Runner, write_activations, write_images

from invtool.config import Plot
from invtool.files import hdf5, provenance
from invtool.stages import plot

LAYERS = {"conv1": (4, 5, 5), "conv2": (8, 3, 3), "fc": (32,)}
MAGIC = {"pdf": b"%PDF-", "svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n"}


def write_invariance(
    path: Path,
    *,
    seen: int | None = 50,
    total: int = 100,
    transforms: Sequence[str] = ("blur:sigma=2",),
    layers: dict[str, tuple[int, ...]] | None = None,
    seed: int = 0,
    accuracy: bool = True,
    split: bool = True,
) -> Path:
    """A result in the shape that the invariance stage writes, with values that rise with depth and seen."""
    random = np.random.default_rng((seed, seen or 0))
    layers = layers or LAYERS
    number = 60
    has_seen = np.arange(number) % total < (seen or 0) * number // total
    with hdf5.create(path, "invariance", STEPS) as out:
        out.attribute("tau", 0.1)
        out.attribute("data", "faces")
        if seen is not None:
            out.attribute("seen_categories", seen)
            out.attribute("categories_total", total)
            out.attribute("model_seed", seed)
        out.array("transform", list(transforms), ("transform",))
        out.array("group", ["all", "seen", "unseen"], ("group",))
        out.array("seen", has_seen.astype("u1"), ("image",))
        if accuracy:
            conditions = ["none", *transforms]
            out.array("condition", conditions, ("condition",))
            share = (seen or 0) / total
            rows = [[0.95, 0.95, 0.95]] + [
                [0.5, 1 - 0.1 * share, 0.1 + 0.8 * share / (1 + t)] for t in range(len(transforms))
            ]
            out.array("accuracy", np.array(rows), ("condition", "group"))
        for depth, (name, shape) in enumerate(layers.items()):
            axes = ("channel", "height", "width") if len(shape) == 3 else ("unit",)
            middle = 0.25 + 0.4 * (depth + 1) / len(layers) * (
                0.3 + 0.7 * (50 if seen is None else seen) / total
            )
            values = random.beta(8 * middle, 8 * (1 - middle), (len(transforms), 3, *shape))
            values[:, :, 0] = np.nan
            if not split or seen == 0:
                values[:, 1] = np.nan
            if not split or seen == total:
                values[:, 2] = np.nan
            where = f"layers/{name}"
            dims = ("transform", "group", *axes)
            out.array(f"{where}/invariance", values.astype("f4"), dims)
            images = random.integers(0, 20, values.shape).astype("i4")
            out.array(f"{where}/active_images", images, dims)
            units = random.integers(0, int(np.prod(shape)) // 4, (len(transforms), number))
            out.array(f"{where}/active_units", units.astype("i4"), ("transform", "image"))
            score = random.random((len(transforms), *shape))
            out.array(f"{where}/top1_score", score.astype("f4"), ("transform", *axes))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network; three numbers of seen categories, two seeds each; a deep one that knows no groups."""
    at = tmp_path_factory.mktemp("results")
    write_invariance(at / "one.h5")
    for seen in (0, 50, 100):
        for seed in (0, 1):
            transforms = ("blur:sigma=2", "rot180")
            write_invariance(at / f"{seen}-{seed}.h5", seen=seen, seed=seed, transforms=transforms)
    write_invariance(at / "foreign.h5", seen=None, split=False, accuracy=False)
    return at


def networks(folder: Path) -> list[Path]:
    return [folder / f"{seen}-{seed}.h5" for seen in (0, 50, 100) for seed in (0, 1)]


def picture(config: Plot, *paths: Path) -> plot.Picture:
    results = [plot.describe(path) for path in paths]
    kind = plot._kind(results) if config.kind == "auto" else config.kind
    return plot.PICTURES[kind](config, results)


def stored(path: Path, layer: str, transform: int, group: int) -> np.ndarray:
    with hdf5.open(path) as file:
        return file.array(f"layers/{layer}/invariance")[transform, group].ravel()


def test_one_network_is_drawn_by_layer(folder: Path) -> None:
    (panel,) = picture(Plot(), folder / "one.h5").panels
    assert panel.title == "blur:sigma=2"
    assert panel.labels == list(LAYERS)
    for at, layer in enumerate(LAYERS):
        for group, name in ((1, "seen"), (2, "unseen")):
            expected = stored(folder / "one.h5", layer, 0, group)
            np.testing.assert_array_equal(panel.samples[name][at], expected)


def test_networks_that_saw_different_numbers_are_drawn_by_number(folder: Path) -> None:
    drawn = picture(Plot(), *reversed(networks(folder)))
    assert [panel.title for panel in drawn.panels] == ["blur:sigma=2, fc", "rot180, fc"]
    assert drawn.xlabel == "number of seen categories of 100"
    assert "6 networks" in " ".join(drawn.notes)
    panel = drawn.panels[1]
    assert panel.labels == ["0", "50", "100"]
    pooled = [stored(folder / f"50-{seed}.h5", "fc", 1, 2) for seed in (0, 1)]
    np.testing.assert_array_equal(np.sort(panel.samples["unseen"][1]), np.sort(np.ravel(pooled)))
    assert np.isnan(panel.samples["seen"][0]).all()


def test_one_layer_under_several_transforms_is_drawn_by_transform(tmp_path: Path) -> None:
    file = write_invariance(tmp_path / "a.h5", transforms=("a", "b"), layers={"fc": (9,)})
    (panel,) = picture(Plot(), file).panels
    assert (panel.title, panel.labels) == ("fc", ["a", "b"])
    np.testing.assert_array_equal(panel.samples["seen"][1], stored(file, "fc", 1, 1))


def test_without_seen_categories_all_images_are_drawn(folder: Path) -> None:
    (panel,) = picture(Plot(), folder / "foreign.h5").panels
    assert set(panel.samples) == {"all"}
    (panel,) = picture(Plot(group="unseen"), folder / "one.h5").panels
    assert set(panel.samples) == {"unseen"}


def test_layers_are_chosen_by_name_pattern_and_word(folder: Path) -> None:
    def labels(*patterns: str) -> list[str]:
        return list(picture(Plot(layers=patterns), folder / "one.h5").panels[0].labels)

    assert labels("conv*") == ["conv1", "conv2"]
    assert labels("fc", "conv1") == ["conv1", "fc"]
    assert labels("penultimate") == ["fc"]
    assert labels("all") == list(LAYERS)


def test_active_shares_are_of_images_and_of_units(folder: Path) -> None:
    images, units = picture(Plot(kind="active"), folder / "one.h5").panels
    with hdf5.open(folder / "one.h5") as file:
        counts = file.array("layers/conv1/active_images")[0, 0].ravel()
        active = file.array("layers/conv1/active_units")[0]
        seen = file.array("seen").astype(bool)
    np.testing.assert_allclose(images.samples["all"][0], 100 * counts / 60)
    np.testing.assert_allclose(units.samples["all"][0], 100 * active / 100)
    _, units = picture(Plot(kind="active", group="seen"), folder / "one.h5").panels
    np.testing.assert_allclose(units.samples["seen"][0], 100 * active[seen] / 100)


def test_accuracy_is_within_and_across(folder: Path) -> None:
    blur, rotation = picture(Plot(kind="accuracy"), *networks(folder)).curves
    assert list(blur.places) == [0, 0, 50, 50, 100, 100]
    assert blur.series["within"] == pytest.approx([1, 1, 0.95, 0.95, 0.9, 0.9])
    assert rotation.series["across"] == pytest.approx([0.1, 0.1, 0.3, 0.3, 0.5, 0.5])
    assert blur.series["clean"] == pytest.approx([0.95] * 6)


def test_accuracy_is_counted_from_the_predictions_of_an_activations_file(tmp_path: Path) -> None:
    file = write_activations(tmp_path / "a.h5")  # label 0 is right; 0 and 1 of 4 are seen
    (drawn,) = picture(Plot(), file).curves
    assert list(drawn.places) == ["blur"]
    assert drawn.series["within"] == [0.5]
    assert drawn.series["across"] == [0.0]
    assert "all" not in drawn.series


def test_accuracy_without_seen_categories_is_of_all_images(tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "a.h5", "activations", []) as out:
        out.array("condition", ["none", "blur"], ("condition",))
        out.array("label", np.arange(4), ("image",))
        out.array("prediction", np.array([[0, 1, 2, 3], [0, 0, 0, 3]]), ("condition", "image"))
        out.array("layers/fc/activation", np.ones((2, 4, 3)), ("condition", "image", "unit"))
    (drawn,) = picture(Plot(), tmp_path / "a.h5").curves
    assert drawn.series == {"all": [0.5], "clean": [1.0]}


@pytest.mark.parametrize("kind", ["layers", "seen", "transforms", "active", "accuracy"])
@pytest.mark.parametrize("form", ["text", "svg"])
def test_every_kind_is_drawn(kind: str, form: str, folder: Path, tmp_path: Path) -> None:
    plot.run(Plot(kind, format=form), networks(folder)[::2], tmp_path / "f")
    text = " ".join((tmp_path / "f").read_text().split())
    assert "tau = 0.1" in text
    assert "blur:sigma=2" in text


def test_the_caption_counts_silent_units(folder: Path, tmp_path: Path) -> None:
    plot.run(Plot(format="text"), [folder / "one.h5"], tmp_path / "f")
    text = " ".join((tmp_path / "f").read_text().split())
    assert "left out: 35 of 204 (most in conv1: 25 of 100)" in text
    assert "50 of 100 categories seen transformed" in text


@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_the_suffix_decides_the_form(
    form: str, folder: Path, tmp_path: Path, invtool: Runner
) -> None:
    done = invtool("plot", folder / "one.h5", "-o", f"f.{form.upper()}", "--title", "A title")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / f"f.{form.upper()}").read_bytes().startswith(MAGIC[form])


def test_a_pipe_takes_a_result_and_gives_a_png(folder: Path, invtool: Runner) -> None:
    size = ["--width", "4", "--height", "3", "--dpi", "50"]
    done = invtool("plot", *size, input=(folder / "one.h5").read_bytes(), text=False)
    assert done.stdout.startswith(MAGIC["png"])
    assert (*np.frombuffer(done.stdout[16:24], ">u4"),) == (200, 150)


def test_no_torch_is_imported(folder: Path, tmp_path: Path) -> None:
    code = "import sys; from invtool.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print(*sys.modules, file=sys.stderr)"
    argv = [sys.executable, "-c", code, "plot", folder / "one.h5", "-o"]
    modules = {
        name: set(
            subprocess.run([*argv, tmp_path / name], capture_output=True, text=True).stderr.split()
        )
        for name in ("f.png", "f.txt")
    }
    assert not {"torch", "torchvision", "scipy", "matplotlib.pyplot"} & modules["f.png"]
    assert "matplotlib" in modules["f.png"]
    assert "matplotlib" not in modules["f.txt"]
    assert "invtool.plots.terminal" in modules["f.txt"]


def test_the_same_command_writes_the_same_bytes(folder: Path, invtool: Runner) -> None:
    command = ["plot", folder / "one.h5", "--format", "pdf"]
    first, second = (invtool(*command, text=False).stdout for _ in range(2))
    assert first == second
    assert b"invtool activations model.st --layer" in first


def test_provenance_can_be_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "recording", False)
    plot.run(Plot(format="svg"), [folder / "one.h5"], tmp_path / "f")
    assert "invtool activations" not in (tmp_path / "f").read_text()


def on_a_terminal(*args: str | Path, columns: int = 80, **env: str) -> str:
    """What a command draws on a terminal of that width."""
    leader, follower = pty.openpty()
    streams_of = {"stdin": follower, "stdout": follower, "stderr": subprocess.PIPE}
    given = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "PYTHONUTF8": "1", **env}
    given = {name: value for name, value in given.items() if value}
    process = subprocess.Popen([*INVTOOL, *map(str, args)], **streams_of, env=given)
    os.close(follower)
    drawn = b""
    while chunk := _read(leader):
        drawn += chunk
    assert process.wait() == 0, process.communicate()
    os.close(leader)
    assert process.stderr is not None
    process.stderr.close()
    return drawn.decode().replace("\r\n", "\n")


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 4096)
    except OSError:  # the other end has closed
        return b""


def test_a_terminal_gets_text(folder: Path) -> None:
    drawn = on_a_terminal("plot", folder / "one.h5", NO_COLOR="")
    assert "\033[34m" in drawn
    assert "█" in drawn
    plain = on_a_terminal("plot", folder / "one.h5", columns=50, NO_COLOR="1")
    assert "\033" not in plain
    assert max(map(len, plain.splitlines())) <= 50
    ascii_only = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    assert on_a_terminal("plot", folder / "one.h5", **ascii_only).isascii()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["one.h5", "-o", "f.jpg"], 2, "unknown suffix '.jpg'; use .pdf, .svg, .png, .txt"),
        (["no.h5", "-o", "f"], 2, "f: no suffix; use .pdf"),
        (["no.h5", "-o", "f.pdf"], 1, "no.h5: no such file"),
        (["one.h5", "-o", "one.h5", "-f", "pdf"], 2, "one.h5 exists; pass --overwrite"),
        (["one.h5", "--layer", "fc9"], 1, "has no layer 'fc9'; it has conv1, conv2, fc"),
        (["foreign.h5", "--kind", "seen"], 1, "does not say how many categories"),
        (["foreign.h5", "--kind", "accuracy"], 1, "holds no accuracy"),
        (["one.h5", "images.h5"], 1, "holds images; invariance or activations is wanted"),
        (["activations.h5", "--kind", "layers"], 1, "run invtool invariance first"),
        (["one.h5", "activations.h5"], 1, "run invtool invariance first"),
        (["one.h5", "rotated.h5"], 1, "no transform is in every file: "),
        (["one.h5", "larger.h5"], 1, "need the same data"),
        (["one.h5", "other.h5"], 1, "choose a layer of both with --layer"),
        (["cut.h5"], 1, "truncated or damaged HDF5"),
        (["one.h5", "--width", "1", "--height", "1"], 1, "are too small for what is drawn; raise"),
        (["one.h5", "--kind", "pie"], 2, "'pie' is not one of"),
    ],
    ids=lambda value: "" if not isinstance(value, list) else " ".join(value),
)
def test_what_cannot_be_drawn_is_one_sentence(
    arguments: list[str], code: int, message: str, folder: Path, tmp_path: Path, invtool: Runner
) -> None:
    write_invariance(tmp_path / "rotated.h5", seen=5, transforms=("rot90",))
    write_invariance(tmp_path / "larger.h5", seen=5, total=200)
    write_invariance(tmp_path / "other.h5", seen=5, layers={"head": (7,)})
    write_images(tmp_path / "images.h5")
    write_activations(tmp_path / "activations.h5")
    (tmp_path / "cut.h5").write_bytes((folder / "one.h5").read_bytes()[:9000])
    for name in ("one.h5", "foreign.h5"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = invtool("plot", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_transforms_of_some_files_only_are_left_out_aloud(
    folder: Path, tmp_path: Path, invtool: Runner
) -> None:
    both = write_invariance(tmp_path / "both.h5", seen=5, transforms=("blur:sigma=2", "rot90"))
    done = invtool("plot", folder / "one.h5", both, "-f", "text")
    assert "left out, not in every file: rot90" in done.stderr
    assert "rot90" not in done.stdout


def test_results_of_one_name_in_two_folders_are_told_apart(folder: Path, tmp_path: Path) -> None:
    twin = write_invariance(tmp_path / "one.h5", seed=1)
    titles = [panel.title for panel in named(folder / "one.h5", twin)]
    assert titles == [f"blur:sigma=2, {path}" for path in (folder / "one.h5", twin)]


def named(*paths: Path) -> Sequence[plot.Panel]:
    results = plot.distinct([plot.describe(path) for path in paths])
    return plot.PICTURES["layers"](Plot(), results).panels

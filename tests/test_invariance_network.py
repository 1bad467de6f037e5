"""`invtool invariance MODEL`: the numbers of the file's route, in passes over the images alone."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small import Run, invoke, room, runner

from invtool.config import Invariance
from invtool.files import hdf5
from invtool.measures import invariance
from invtool.stages import invariance_network, invariance_score

TINY = "train -d small.h5 -n py:nets:make --epochs 1 --batch-size 8 --threads 1"
BOTH = "-t blur:sigma=1 -t white-noise:sigma=40"
NAMED = "invariance py:signed:{} --untrained --size 8 -d small.h5 --mean 0,0,0 --std 1,1,1"
SIGNED = """
from torch import nn

def signed(categories=4, channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, categories),
    )

def lost(categories=4, channels=3):
    network = signed(categories, channels)
    nn.init.constant_(network[0].bias, float("nan"))
    return network

def endless(categories=4, channels=3):
    # Infinite after a ReLU, finite again after what follows.
    network = nn.Sequential(
        nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Sigmoid(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, categories),
    )
    nn.init.constant_(network[0].bias, float("inf"))
    return network
"""


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("network")
    with room(top):
        (top / "signed.py").write_text(SIGNED)
        assert invoke(f"{TINY} --seen 2 -t blur:sigma=1 -o model.st") == 0
        assert invoke(f"activations model.st {BOTH} --threads 1 -o a.h5") == 0
        assert invoke("invariance a.h5 --tau-grid --threads 1 -o file.h5") == 0
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def read(path: str) -> dict[str, NDArray[Any]]:
    with hdf5.open(Path(path), ["invariance"]) as file:
        return {name: file.array(name) for name in file.names()}


def rounding() -> dict[str, NDArray[Any]]:
    """How far I_k of each unit may be off, where another batch rounds responses another way.

    An error e of both responses moves h by 2 e / (a + b) at most, so most where they are small; a sum
    of products of 32 bits is off by some 1e-7 of what is summed.
    """
    found = {}
    with hdf5.open(Path("a.h5")) as file:
        for name in [key for key in file.names() if key.endswith("/activation")]:
            clean, *moved = file.array(name).astype(float)
            error = 1e-7 * clean.max()
            sums = np.stack([clean + each for each in moved])  # (transform, image, unit...)
            smallest = np.where(sums > 0, sums, np.inf).min(axis=1)
            allowed = 2e-6 + 2 * error / smallest  # no group's mean is off by more
            key = name.replace("activation", "invariance")
            found[key] = allowed[:, None]
            found[f"{key}_by_tau"] = allowed[None, :, None]
    return found


def assert_near(
    found: NDArray[Any], wanted: NDArray[Any], allowed: NDArray[Any] | None, name: str
) -> None:
    """Within `allowed`, whose axes broadcast, or 2e-6; NaN where NaN is wanted."""
    off = np.where(np.isnan(wanted) & np.isnan(found), 0, np.abs(found - wanted))
    assert (off <= (2e-6 if allowed is None else allowed)).all(), (name, np.nanmax(off))


@pytest.mark.parametrize("size", ["1", "5", "auto"])
@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_the_files_route(run: Run, folder: Path, size: str, threads: int) -> None:
    target = f"{size}-{threads}.h5"
    alike = f"--batch-size {size} --threads {threads}"
    assert run(f"invariance model.st {BOTH} {alike} --tau-grid -o", target)[0] == 0
    assert run(f"activations model.st {BOTH} {alike} -o a-{target}")[0] == 0
    assert run(f"invariance a-{target} --threads {threads} --tau-grid -o file-{target}")[0] == 0
    same, there, here = read(f"file-{target}"), read("file.h5"), read(target)
    assert same.keys() == there.keys() == here.keys()
    rounded = rounding()
    for name, values in here.items():
        if name.endswith("top1_score"):
            assert np.isnan(values).all()
        elif values.dtype.kind == "f":
            np.testing.assert_allclose(values, same[name], atol=2e-6, err_msg=name)
            assert_near(values, there[name], rounded.get(name), name)
        else:
            np.testing.assert_array_equal(values, there[name], err_msg=name)


def test_accumulators_of_torch_give_the_same(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs on an accelerator, here on the CPU."""
    monkeypatch.setattr(invariance_network, "on_host", lambda device: False)
    assert run(f"invariance model.st {BOTH} --threads 1 --tau-grid -o torch.h5")[0] == 0
    there, here = read("file.h5"), read("torch.h5")
    for name in here:
        if here[name].dtype.kind == "f" and not name.endswith("top1_score"):
            np.testing.assert_allclose(here[name], there[name], atol=2e-6, err_msg=name)


def test_sampled_units_are_those_of_the_file(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in ("invariance", "invariance_network"):
        monkeypatch.setattr(f"invtool.stages.{stage}.SPREAD_UNITS", 10)
    assert run("invariance a.h5 --threads 2 -o few-file.h5")[0] == 0
    assert run(f"invariance model.st {BOTH} --threads 2 -o few.h5")[0] == 0
    there, here = read("few-file.h5"), read("few.h5")
    for name in ("median_interval", "coincide", "difference_interval"):
        for layer in {key.split("/")[1] for key in here if key.startswith("layers/")}:
            key = f"layers/{layer}/{name}"
            np.testing.assert_allclose(here[key], there[key], atol=2e-6, err_msg=key)


def test_every_tau_of_the_grid_is_a_run_of_its_own(folder: Path) -> None:
    with hdf5.open(Path("a.h5"), ["activations"]) as file:
        seen = file.array("seen")
        values = {name: file.array(f"layers/{name}/activation") for name in file.layers()}
    found = read("file.h5")
    np.testing.assert_array_equal(found["tau_grid"], invariance_score.TAU_GRID)
    for name, (clean, *moved) in values.items():
        for n, tau in enumerate(invariance_score.TAU_GRID):
            for t, each in enumerate(moved):
                wanted = invariance(clean, each, tau=tau, seen=seen)
                got = found[f"layers/{name}/invariance_by_tau"][n, t]
                np.testing.assert_allclose(got, wanted, atol=1e-6)
                flat = wanted.reshape(3, -1)
                for g in range(3):
                    if not np.isnan(flat[g]).all():
                        median = found[f"layers/{name}/median_by_tau"][t, g, n]
                        assert median == pytest.approx(np.nanmedian(flat[g]), abs=1e-6)


def test_json_holds_the_medians_at_every_tau_and_the_title_says_rectified(run: Run) -> None:
    code, out, _ = run("invariance a.h5 --tau-grid --rectify -f json")
    whole, wanted = json.loads(out), read("file.h5")
    assert code == 0 and whole["rectified"] is True
    assert len(whole["median_by_tau"]) == 2 * 2 * 3  # layers, transforms, groups
    first = next(row for row in whole["median_by_tau"] if row["layer"] == "2")
    assert first["tau"] == list(invariance_score.TAU_GRID)
    np.testing.assert_allclose(first["median"], wanted["layers/2/median_by_tau"][0, 0])
    (row,) = (r for r in json.loads(run("invariance a.h5 -f json")[1])["median_by_tau"][:1])
    assert row["layer"] == "3"  # the penultimate alone
    assert run("invariance a.h5 --rectify -f table")[1].splitlines()[0].endswith(", rectified")


def test_tau_0_takes_one_pass_and_others_two(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    plain = invariance_network._Passes.run
    monkeypatch.setattr(
        invariance_network._Passes,
        "run",
        lambda self, label, take: (shown.append(1), plain(self, label, take))[1],
    )
    assert run("invariance a.h5 --tau 0 -o file0.h5")[0] == 0
    assert run(f"invariance model.st {BOTH} --tau 0 -o zero.h5")[0] == 0
    assert len(shown) == 1
    there, here = read("file0.h5"), read("zero.h5")
    layer = "layers/2/invariance"
    np.testing.assert_allclose(here[layer], there[layer], atol=2e-6)
    np.testing.assert_array_equal(here["accuracy"], there["accuracy"])
    assert run("invariance model.st --tau 0.3 -o other.h5")[0] == 0
    assert len(shown) == 3


def test_tau_0_and_every_tau_besides_take_two_passes(run: Run, folder: Path) -> None:
    assert run(f"invariance model.st {BOTH} --tau 0 --tau-grid -o zero-grid.h5")[0] == 0
    there, here = read("file.h5"), read("zero-grid.h5")
    key = "layers/2/invariance"
    np.testing.assert_allclose(here[f"{key}_by_tau"], there[f"{key}_by_tau"], atol=2e-6)
    np.testing.assert_allclose(here[key], here[f"{key}_by_tau"][0], atol=2e-6)


@pytest.mark.parametrize("tau", ["0", "0.1"])
def test_an_infinite_response_is_refused_in_one_pass_as_in_two(run: Run, tau: str) -> None:
    code, _, err = run(f"{NAMED.format('endless')} -t blur -l 1 --tau {tau} -o endless.h5")
    assert code == 1 and "layer '1' of py:signed:endless gives inf" in err


def test_it_measures_in_bf16_what_the_network_computes_in_it(run: Run, folder: Path) -> None:
    assert run("invariance model.st --precision bf16 -o bf16.h5")[0] == 0
    there, here = read("file.h5"), read("bf16.h5")
    np.testing.assert_allclose(here["layers/2/median"][0], there["layers/2/median"][0], atol=0.05)


def test_without_resamples_there_are_no_intervals(run: Run, folder: Path) -> None:
    for source in ("a.h5", f"model.st {BOTH}"):
        assert run(f"invariance {source} --resamples 0 -o none.h5 --overwrite")[0] == 0
        found = read("none.h5")
        assert "accuracy_interval" not in found and "accuracy" in found
        assert np.isnan(found["layers/2/median_interval"]).all()
        assert np.isnan(found["layers/2/coincide"]).all()


def test_the_seed_draws_other_resamples_by_both_routes(run: Run, folder: Path) -> None:
    few = "--resamples 20 --overwrite -o"  # more draw the same extremes of so few categories
    for seed in (1, 2):
        assert run(f"invariance a.h5 --seed {seed} {few} seed-file.h5")[0] == 0
        assert run(f"invariance model.st -t blur:sigma=1 --seed {seed} {few} seed.h5")[0] == 0
        there, here = read("seed-file.h5"), read("seed.h5")
        for name in ("median_interval", "coincide"):
            key = f"layers/2/{name}"
            np.testing.assert_allclose(here[key][0], there[key][0], atol=2e-6)
    assert run(f"invariance a.h5 --seed 1 {few} seed-file.h5")[0] == 0
    first = read("seed-file.h5")
    assert not np.array_equal(first["layers/2/coincide"], there["layers/2/coincide"])
    np.testing.assert_array_equal(first["layers/2/median"], there["layers/2/median"])


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        ("-t blur:sigma=1 --limit 8", 0, ""),
        ("-t blurr", 2, "did you mean 'blur'"),
        ("--device none", 2, "no device 'none'"),
        ("-d -", 2, "cannot both come from standard input"),
    ],
)
def test_a_model_on_standard_input(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, options: str, code: int, why: str
) -> None:
    """Told from activations by what it holds; refused as one that is named."""
    with Path("model.st").open() as model:
        monkeypatch.setattr("sys.stdin", model)
        with descriptor(0, model.fileno()):
            found, _, err = run(f"invariance - {options} -q -o piped.h5")
    assert found == code and why in err and len(err.splitlines()) <= 1


@contextmanager
def descriptor(number: int, other: int) -> Iterator[None]:
    """File descriptor `number` is `other` for a while."""
    kept = os.dup(number)
    os.dup2(other, number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def test_negative_responses_are_named_and_can_be_rectified(run: Run, folder: Path) -> None:
    line = f"{NAMED.format('signed')} {BOTH}"
    code, _, err = run(f"{line} -l 1 -o signed.h5")
    assert code == 0 and "respond below 0" in err and "--rectify takes that as 0" in err
    assert np.isnan(read("signed.h5")["layers/1/invariance"]).any()
    code, _, err = run(f"{line} -l 1 --rectify -o rectified.h5")
    assert code == 0 and "below 0" not in err
    recorded = line.replace("invariance", "activations", 1)
    assert run(f"{recorded} -l 1 -o signed-a.h5")[0] == 0
    assert run("invariance signed-a.h5 --rectify -o rectified-file.h5")[0] == 0
    with hdf5.open(Path("signed-a.h5")) as file:
        clean, *moved = np.maximum(file.array("layers/1/activation"), 0)
    for path in ("rectified.h5", "rectified-file.h5"):
        for t, each in enumerate(moved):
            wanted = invariance(clean, each, tau=Invariance.tau)[0]
            found = read(path)["layers/1/invariance"][t, 0]
            np.testing.assert_allclose(found, wanted, atol=2e-6)
    with hdf5.open(Path("rectified.h5")) as file:
        assert file.attribute("rectified") == 1


def test_tau_comes_from_an_ablation(run: Run, folder: Path) -> None:
    assert run("ablate model.st --cost 0.2 -o ablation.h5")[0] == 0
    with hdf5.open(Path("ablation.h5"), ["ablation"]) as file:
        tau = float(file.array("chosen_tau"))
    assert run("invariance a.h5 --tau ablation.h5 -o from-file.h5")[0] == 0
    code, _, err = run("invariance model.st --tau auto -o auto.h5")
    assert code == 0 and "the highest that ablation of the penultimate layer allows" in err
    with hdf5.open(Path("from-file.h5")) as file:
        assert file.attribute("tau") == tau
    with hdf5.open(Path("auto.h5")) as file:
        assert f"tau {file.attribute('tau'):g}," in err


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ("invariance a.h5 --tau auto", 2, "a.h5 holds activations"),
        ("invariance a.h5 -t blur", 2, "--transform is for a model"),
        ("invariance a.h5 --limit 3", 2, "--limit is for a model"),
        ("invariance model.st --tau 1", 2, "0 <= tau < 1"),
        ("invariance model.st --tau high", 2, "a number, auto or an ablation file"),
        ("invariance model.st --tau a.h5", 1, "ablation is wanted"),
        ("invariance small.h5", 1, "activations is wanted"),
        ("invariance nothing.st", 1, "no such file"),
        ("invariance block", 2, "nearest is 'blocks'"),
        ("invariance model.st -t blurr", 2, "blur"),
        ("invariance model.st -l conv99", 2, "no layer 'conv99'"),
        (
            "invariance py:signed:lost --untrained --size 8 -d small.h5 -t blur --mean 0,0,0 --std 1,1,1",
            1,
            "layer '1' of py:signed:lost gives nan",
        ),
    ],
)
def test_refusals(run: Run, folder: Path, line: str, code: int, why: str) -> None:
    found, out, err = run(f"{line} -o refused.h5")
    assert (found, out) == (code, "") and why in err and len(err.splitlines()) <= 2
    assert not list(folder.glob("*refused*"))


def test_one_image_and_one_category(run: Run, folder: Path) -> None:
    code, out, _ = run("invariance model.st --limit 1 -f table")
    assert code == 0 and "I_k" in out

"""`train --search`: it finds what is best on images that nothing was trained on, and says so."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import Run, quadrants, room, runner, write_set
from test_training import exit_codes, lines, weights

from invtool.config import Train
from invtool.data.held_out import held_out
from invtool.files import hdf5, models
from invtool.stages import _search, train
from invtool.training.loop import Trainer
from invtool.training.search import Halving, Score, around, grid, planned, rungs

LINE = (
    "train -d small.h5 -n py:nets:make -t rot180 --seen 2 --epochs 4 --batch-size 8 --threads 1"
    " --search --search-rates 1e-9,0.1 --search-decays 0,0.001"
)
FOUR = Train(
    *("small.h5", "py:nets:make", "rot180", (2,)),
    epochs=4,
    batch_size=8,
    threads=1,
    search=True,
    search_rates=(1e-9, 0.1),
    search_decays=(0.0, 0.001),
)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("search")
    with room(top):
        write_set(top / "singles.h5", train=4)  # an image a category
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def found(path: Path) -> dict[str, Any]:
    search: dict[str, Any] = models.read_metadata(path)["search"]
    return search


# --- the images


@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.integers(0, 2**63 - 1))
def test_a_tenth_of_each_category_is_held_out(label: list[int], seed: int) -> None:
    labels = np.array(label)
    mask = held_out(labels, seed)
    np.testing.assert_array_equal(mask, held_out(labels, seed))
    sizes, held = Counter(label), Counter(labels[mask].tolist())
    for category, size in sizes.items():
        assert held[category] == (0 if size == 1 else max(1, int(size / 10 + 0.5)))


def test_seeds_hold_out_others_and_all_alike() -> None:
    masks = np.stack([held_out(np.zeros(20, np.int64), seed) for seed in range(500)])
    assert len(np.unique(masks, axis=0)) > 150  # of 190
    assert abs(masks.mean(0) - 0.1).max() < 0.06


def test_held_out_images_are_not_trained_on_and_test_images_not_seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: set[int] = set()
    scored: set[int] = set()
    step, conditions = Trainer._step, _search.conditions

    def watched(self: Trainer, image: Any, *rest: Any) -> Any:
        trained.update(self.images.index[image].tolist())
        return step(self, image, *rest)

    def shown(images: Any, index: Any, specs: Any, **rest: Any) -> Any:
        scored.update(index.tolist())
        return conditions(images, index, specs, **rest)

    def stop(*_: Any) -> Any:
        raise InterruptedError  # the search is over

    monkeypatch.setattr(Trainer, "_step", watched)
    monkeypatch.setattr(_search, "conditions", shown)
    monkeypatch.setattr(train, "_train", stop)
    with pytest.raises(InterruptedError):
        train.run(replace(FOUR, epochs=8), folder / "watched.st")
    assert trained | scored <= set(range(32))  # the training images of small.h5
    assert trained & scored == set() and len(scored) == 4 and len(trained) > 20


# --- the rule


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30),
    st.integers(1, 50),
    st.data(),
)
def test_the_better_half_goes_on(
    scores: list[tuple[int, int]], epochs: int, data: st.DataObject
) -> None:
    """Against halving as it is written, which first hears all and then cuts."""
    diverging = data.draw(st.sets(st.integers(0, len(scores) - 1)))
    search, parts = Halving(len(scores), epochs), []
    while due := search.due():
        parts.append(due)
        accuracy, loss = scores[due[0]]
        search.tell(due[0], None if due[0] in diverging else Score(accuracy, loss))
    left, expected = list(range(len(scores))), []
    for rung in rungs(len(scores), epochs):
        expected += [(number, rung) for number in left]
        places = ceil(len(left) / 2) if rung < epochs else len(left)
        sound = [number for number in left if number not in diverging]
        left = sorted(sound, key=lambda n: (-scores[n][0], scores[n][1], n))[:places]
        if len(left) < 2:
            break
    assert sorted(parts) == sorted(expected)
    assert search.left == left
    if not diverging:
        ran: dict[int, int] = {}
        for number, until in parts:
            assert until > ran.get(number, 0)
            ran[number] = until
        assert planned(len(scores), epochs) == sum(ran.values())
        assert left[0] == min(range(len(scores)), key=lambda n: (-scores[n][0], scores[n][1], n))


def test_rungs_and_the_grid() -> None:
    assert rungs(25, 40) == [5, 10, 20, 40] and rungs(2, 40) == [20, 40] and rungs(1, 40) == [40]
    assert rungs(25, 1) == [1]
    assert around(1e-4) == (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
    points = grid(around(0.1), around(5e-4))
    assert len(set(points)) == 25  # as in the paper
    assert points[0].weight_decay == 5e-5 and points[-1].learning_rate == 1


# --- the whole


def test_what_is_best_is_found_and_trained_on_all_images(run: Run, folder: Path) -> None:
    code, out, err = run(f"{LINE.replace('1e-9,0.1', '1e-9,0.1,1e39')} -o best.st")
    assert code == 0 and out.startswith("accuracy on test images\n")
    assert "searching 6 learning rates and weight decays (seen 2, seed 0; 4 of 32 training" in err
    assert "accuracy on held-out training images\nlearning_rate weight_decay epochs" in err
    told = models.read_metadata(folder / "best.st")
    search = told["search"]
    assert (search["held_out"], search["images"]) == (4, 32)
    assert (search["seen"], search["seed"]) == (2, 0)
    trials = search["trials"]
    assert Counter(trial["status"] for trial in trials) == Counter(
        {"best": 1, "finished": 1, "stopped": 2, "diverged": 2}
    )
    assert trials[0]["status"] == "best" and trials[0]["learning_rate"] == 0.1
    for trial in trials:
        diverged = trial["learning_rate"] == 1e39
        assert (trial["status"] == "diverged") == diverged == (trial["accuracy"] is None)
    assert sorted(trial["epochs"] for trial in trials) == [1, 1, 1, 2, 4, 4]
    used = {name: told["training"][name] for name in ("learning_rate", "weight_decay")}
    assert used == {name: trials[0][name] for name in used}
    assert sorted(p.name for p in folder.glob("best*")) == ["best.jsonl", "best.st"]

    plain, _, _ = LINE.partition(" --search")
    decay = trials[0]["weight_decay"]
    assert run(f"{plain} --lr 0.1 --weight-decay {decay} -o plain.st")[0] == 0
    for name, values in weights(folder / "plain.st").items():
        np.testing.assert_array_equal(values, weights(folder / "best.st")[name])
    assert lines(folder / "best.jsonl") == lines(folder / "plain.jsonl")
    shown = " ".join(run("inspect best.st")[1].split())
    assert "6 trials by successive halving, 4 of 32 training images held out" in shown
    assert f"(learning_rate 0.1, weight_decay {decay:.4g}, epochs 4, accuracy" in shown
    assert "(--json shows all 6)" in shown
    assert run("verify best.st")[0] == 0


def test_the_score_is_that_of_a_network_trained_without_them(folder: Path) -> None:
    """A plain training on what is not held out, tested on what is."""
    image, label = quadrants(44)
    held = held_out(label[:32], 0)
    order = [*np.flatnonzero(~held), *np.flatnonzero(held)]
    with hdf5.create(folder / "rest.h5", "images", []) as out:
        out.array("image", image[order], ("image", "channel", "height", "width"))
        out.array("label", label[order], ("image",))
        out.array("split", np.sort(held).astype(np.uint8), ("image",))
        out.attribute("categories", [f"quadrant {number}" for number in range(4)])
    three = replace(FOUR, search_rates=(1e-9, 0.05, 0.1), search_decays=(5e-4,))
    train.run(three, folder / "scored.st")
    for trial in found(folder / "scored.st")["trials"][:2]:
        point = {name: trial[name] for name in ("learning_rate", "weight_decay")}
        alone = replace(FOUR, data="rest.h5", search=False, search_rates=None, search_decays=None)
        train.run(replace(alone, **point), folder / "alone.st")
        told = models.read_metadata(folder / "alone.st")["accuracy"]
        assert trial["epochs"] == 4
        assert trial["accuracy"] == (told["none"]["all"] + told["rot180"]["seen"]) / 2


def test_the_middle_of_the_grid_is_what_would_be_trained_with() -> None:
    from invtool.stages._settings import combinations

    rates = {p.learning_rate for p in combinations(Train(learning_rate=0.02, search=True))}
    assert rates == {0.002, 0.006, 0.02, 0.06, 0.2}
    paper = combinations(Train(recipe="paper", search_decays=(0.0,)))
    assert [p.learning_rate for p in paper] == [1e-5, 3e-5, 1e-4, 3e-4, 1e-3]


def test_the_same_search_is_the_same_bytes(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for place in ("one", "two"):
        (folder / place).mkdir()
        monkeypatch.chdir(folder / place)
        (folder / place / "nets.py").write_text((folder / "nets.py").read_text())
        code, _, err = run(f"{LINE.replace('small.h5', '../small.h5')} -q")
        assert (code, err) == (0, "")
        made.append((folder / place / "model.st").read_bytes())
    assert made[0] == made[1]


def test_several_networks_share_one_search(run: Run, folder: Path) -> None:
    line = LINE.replace("--seen 2", "--seen 0 --seen 2 --seeds 2")
    code, _, err = run(f"{line} -o shared")
    assert code == 0 and err.count("accuracy on held-out training images") == 1
    searches = [found(path) for path in sorted((folder / "shared").glob("*.st"))]
    assert len(searches) == 4 and all(search == searches[0] for search in searches)
    assert (searches[0]["seen"], searches[0]["seed"]) == (0, 0)
    assert {path.suffix for path in (folder / "shared").iterdir()} == {".st", ".jsonl"}


def test_into_a_pipe(folder: Path, capfdbinary: Any) -> None:
    from invtool.cli import _app

    before = set(folder.iterdir())
    assert _app.run(f"{LINE} -q -o -".split()) == 0
    out, err = capfdbinary.readouterr()
    assert err == b"" and set(folder.iterdir()) == before
    (folder / "piped.st").write_bytes(out)
    assert found(folder / "piped.st")["trials"][0]["learning_rate"] == 0.1


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("--search-rates 0.1,1", 2, "--search-rates needs --search"),
        ("--search-decays 0", 2, "--search-decays needs --search"),
        ("--search --search-rates 0.1 --search-decays 0", 2, "one combination to try"),
        ("--search --search-rates 0.1 --weight-decay 0", 2, "one combination to try"),
        ("--search --search-rates 0.1,x", 2, "--search-rates 0.1,x: numbers joined by commas"),
        ("--search --search-rates 0.1,0.1", 2, "--search-rates names a value twice"),
        ("--search --search-rates 0,1", 2, "learning rates over 0"),
        ("--search --search-rates nan,1", 2, "learning rates over 0"),
        ("--search --lr -1", 2, "learning rates over 0"),
        ("--search --search-decays -1,0", 2, "weight decays from 0"),
        ("--search --search-rates 1,2 --lr 3", 2, "--search-rates names what to try; drop --lear"),
        (
            "--search --search-decays 0,1 --weight-decay 0",
            2,
            "--search-decays names what to try; drop --weight-decay",
        ),
        ("--search -d singles.h5", 1, "singles.h5: no category has two training images"),
        ("--search -n py:nets:deaf", 1, "py:nets:deaf does not run on small.h5"),
        (
            "--search --search-rates 1e38,1e39 --search-decays 0",
            1,
            "all 2 combinations diverged; give --search-rates under 1e+38",
        ),
    ],
)
def test_refused_with_nothing_left(
    line: str, code: int, sentence: str, run: Run, folder: Path
) -> None:
    before = set(folder.iterdir())
    done = run(f"train -d small.h5 -n py:nets:make --threads 1 -o x.st {line}")
    assert done[:2] == (code, "") and sentence in done[2].splitlines()[-1]
    assert {path for path in folder.iterdir() if path.name != "__pycache__"} <= before


# --- stopped and resumed

SHORT = LINE.replace("--epochs 4", "--epochs 2")
CASES = [
    ("after a trial", 60, -9),
    ("between trial and state", 60, -9),
    ("mid-epoch", 0, -9),
    ("half a checkpoint", 0, -9),
    ("between line and checkpoint", 0, -9),
    ("before tidying", 60, -9),
    ("SIGTERM", 0, 143),
]


@pytest.fixture(scope="module")
def stopped(folder: Path) -> Iterator[dict[str, list[int]]]:
    """Exit codes of each case's runs."""
    (folder / "x").mkdir()
    several = SHORT.replace("--seen 2", "--seen 2 --seen 3")
    cases = {"x/whole.st": [("no", f"{SHORT} -o x/whole.st")]}
    for number, (place, every, _) in enumerate(CASES):
        target = f"x/{number}.st"
        cases[target] = [
            (place, f"{SHORT} --checkpoint-every {every} -o {target}"),
            ("no", f"train --resume -o {target}"),
        ]
    cases["x/all"] = [("no", f"{several} -o x/all")]
    for place in ("mid-epoch", "between networks"):
        target = f"x/{place.replace(' ', '-')}"
        cases[target] = [
            (place, f"{several} --checkpoint-every 0 -o {target}"),
            ("no", f"{several} -o {target}"),
            ("no", f"train --resume -o {target}"),
        ]
    cases["early"] = [
        ("before the search is known", f"{SHORT} -o x/early.st"),
        ("no", "train --resume -o x/early.st"),
        ("no", f"{SHORT} -o x/early.st"),
    ]
    plain = SHORT.partition(" --search")[0]
    cases["left"] = [
        ("after a trial", f"{SHORT} -o x/left.st"),
        ("no", f"{plain} -o x/left.st"),
        ("no", f"{plain} -o x/left.st --overwrite"),
        ("no", "train --resume -o x/left.st"),
    ]
    yield exit_codes(folder, cases)


def assert_same(again: Path, whole: Path) -> None:
    old, new = weights(whole), weights(again)
    for name, values in old.items():
        np.testing.assert_array_equal(new[name], values, err_msg=name)
    assert found(again) == found(whole)
    assert lines(again.with_suffix(".jsonl")) == lines(whole.with_suffix(".jsonl"))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{p}, {e} s" for p, e, _ in CASES])
def test_a_stopped_search_ends_as_if_it_had_not_been(
    number: int, folder: Path, stopped: dict[str, list[int]]
) -> None:
    target = folder / "x" / f"{number}.st"
    assert stopped[f"x/{number}.st"] == [CASES[number][2], 0]
    assert_same(target, folder / "x" / "whole.st")
    left = {path.name for path in target.parent.glob(f"{number}.*")}
    assert left == {f"{number}.st", f"{number}.jsonl"}


@pytest.mark.parametrize("name", ["mid-epoch", "between-networks"])
def test_a_stopped_search_for_several_networks(name: str, folder: Path, stopped: Any) -> None:
    assert stopped[f"x/{name}"] == [-9, 2, 0]
    models_there = sorted((folder / "x" / name).glob("*.st"))
    assert [path.name for path in models_there] == ["seen2-seed0.st", "seen3-seed0.st"]
    for path in models_there:
        assert_same(path, folder / "x" / "all" / path.name)
    kept = {path.suffix for path in (folder / "x" / name).iterdir() if path.name[0] != "."}
    assert kept == {".st", ".jsonl"}


def test_stopped_before_there_is_anything_to_go_on_with(stopped: Any) -> None:
    assert stopped["early"] == [-9, 1, 0]


def test_a_stopped_search_is_not_overwritten_by_accident(folder: Path, stopped: Any) -> None:
    assert stopped["left"] == [-9, 2, 0, 1]
    sentence = "x/left.checkpoint.search/search.json holds a search that was stopped; --resume goes"
    assert sentence in (folder / "stderr").read_text()
    assert "search" not in models.read_metadata(folder / "x" / "left.st")
    assert {p.name for p in (folder / "x").glob("left*")} == {"left.st", "left.jsonl"}

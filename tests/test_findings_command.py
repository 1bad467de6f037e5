"""Findings read from result files: verdicts that must turn with the numbers, tables and the page."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import WRITERS, write_deformation, write_images, write_itn, write_smoothness
from plot_files import write_ablation, write_evaluation, write_invariance, write_jagged
from small import invoke

from invtool.stages import findings_categories, findings_deformation, findings_shifts
from invtool.stages._findings import NO, NOT_MEASURED, PARTLY, YES, Files, Finding, agreement

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def results(tmp_path: Path) -> list[Path]:
    """Networks that do as the paper says, but for rotation: the writer's accuracy rises for both."""
    paths = []
    for transform in ("blur", "rot90"):
        for seen in (0, 10, 50, 90, 100):
            path = tmp_path / f"{transform}-{seen}-0.h5"
            trained = transform if seen else ""
            write_invariance(path, seen=seen, transforms=[transform], trained=trained, more=True)
            paths.append(path)
    for folder in ("quadrants", "ablation"):
        (tmp_path / folder).mkdir()
    paths.append(write_evaluation(tmp_path / "quadrants/blur.h5", [("blur", 10, 0)]))
    paths.append(write_ablation(tmp_path / "ablation/blur.h5"))
    everything = [("blur", 100, 0), ("rot90", 100, 0)]
    paths.append(write_evaluation(tmp_path / "matrix.h5", everything))
    return paths


def by_paper(found: list[Finding]) -> dict[str, Finding]:
    return {finding.paper: finding for finding in found}


def one(found: list[Finding], words: str) -> Finding:
    (finding,) = [finding for finding in found if words in finding.paper]
    return finding


def test_agreement_says_which_cases_agree() -> None:
    assert agreement({"a": True, "b": True}) == YES
    assert agreement({"a": False}) == NO
    assert agreement({"a": True, "b": False}) == "in part: a"
    assert agreement({"a": True, "b": True, "c": False}) == "in part: not c"
    assert agreement({"a": True, "b": False, "c": False}) == "in part: a"
    assert agreement([True, False]) == PARTLY
    assert agreement({}) == NOT_MEASURED


def test_findings_of_networks_that_do_as_the_paper_says(results: list[Path]) -> None:
    found = findings_categories.findings(Files.read(results))
    across = one(found, "Accuracy across categories rises")
    assert across.agrees == YES
    assert "blur: 18 % to 82 %" in across.here and "from 10 to 90 of 100" in across.here
    within = one(found, "close to 100 %")
    assert within.agrees == YES and "blur: 99 % to 90 %" in within.here
    taken = one(found, "mainly confused")
    assert taken.agrees == YES and "(by chance 10 %): blur: " in taken.here
    assert one(found, "Invariance I_k").agrees == YES
    assert one(found, "goes with invariance").agrees == YES
    assert one(found, "not to others").agrees == YES
    # The writer gives rotation the accuracy of blur.
    assert one(found, "far better than geometric").agrees == NO
    assert "tau is 0.1" in one(found, "tau is 0.1").here


def test_a_verdict_turns_with_the_numbers(results: list[Path], tmp_path: Path) -> None:
    for path in (tmp_path / "blur-10-0.h5", tmp_path / "blur-90-0.h5"):
        path.unlink()
    write_invariance(
        tmp_path / "blur-10-0.h5", seen=90, transforms=["blur"], trained="blur", more=True
    )
    write_invariance(
        tmp_path / "blur-90-0.h5", seen=90, transforms=["blur"], trained="blur", more=True
    )
    (tmp_path / "blur-50-0.h5").unlink()
    write_invariance(
        tmp_path / "blur-50-0.h5", seen=90, transforms=["blur"], trained="blur", more=True
    )
    found = findings_categories.findings(Files.read(results))
    # One count of seen categories alone: nothing rises.
    assert one(found, "Accuracy across categories rises").agrees == "in part: rot90"


@pytest.mark.parametrize("study", ["categories", "shifts", "deformation", "sensitivity"])
def test_nothing_is_measured_where_no_file_tells(
    study: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = WRITERS["calibration"](tmp_path / "other.h5")
    assert invoke(f"findings {study} -f json", other) == 0
    told = json.loads(capfd.readouterr().out)
    assert len(told["rows"]) > 6
    assert {row["agrees"] for row in told["rows"]} == {NOT_MEASURED}
    assert {row["measured here"] for row in told["rows"]} == {""}


@pytest.mark.parametrize(
    ("study", "files"),
    {
        "categories": ["i/invariance", "quadrants/evaluation", "i/ablation", "i/jaggedness"],
        "shifts": [
            "embed/jaggedness",
            "crop/jaggedness",
            "i/shiftability",
            "i/evaluation",
            "i/bias",
        ],
        "deformation": ["initial", "trained", "tasks", "random"],
        "sensitivity": ["sweep/sweep", "curves/sweep", "i/itn"],
    }.items(),
)
def test_the_least_that_a_file_holds_is_enough(
    study: str, files: list[str], tmp_path: Path
) -> None:
    """Networks of one name, layers that differ, groups without images: no finding breaks."""
    paths = []
    for name in files:
        folder, _, kind = name.partition("/")
        for each in [kind] if kind else ["deformation", "smoothness"]:
            path = (
                tmp_path / folder / each / f"{folder}.h5" if not kind else tmp_path / f"{name}.h5"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            paths.append(WRITERS[each](path))
    assert invoke(f"findings {study} -f csv -o", tmp_path / "out.csv", *paths) == 0


def test_deformations_are_compared_by_downsampling(tmp_path: Path) -> None:
    for name in ("initial", "trained"):
        write_deformation(tmp_path / f"{name}.h5")
    write_smoothness(tmp_path / "trained-smooth.h5")
    files = Files.read([tmp_path / "initial.h5", tmp_path / "trained.h5"])
    found = findings_deformation.findings(files)
    assert one(found, "random labels the smoothness").agrees == NOT_MEASURED


@pytest.mark.parametrize(
    ("found", "told", "agrees"),
    [
        ([1.95, 1.5], " 1.73 from 1.86 (0 of 2)", YES),  # the first may have begun there
        ([1.97, 1.5], " 1.73 from 1.86 (1 of 2)", NO),
        ([1.95, 1.86], " 1.91 from 1.86 (0 of 2)", NO),
    ],
)
def test_filters_are_rougher_where_chance_at_initialization_does_not_tell_why(
    found: list[float], told: str, agrees: str, tmp_path: Path
) -> None:
    (tmp_path / "trained").mkdir()
    values = np.array([[*found, 0.0]])
    file = write_smoothness(tmp_path / "trained/a-0.h5", [-1], total_variation=values)
    finding = one(findings_deformation.findings(Files.read([file])), "Filters are smoother")
    assert told in finding.here
    assert finding.agrees == agrees


def test_a_cure_is_named_after_what_it_cures(tmp_path: Path) -> None:
    names = {"net": 1, "net-blur": 2, "network": 3, "deep": 4}
    cured = {name: findings_shifts._cured(name, names) for name in names}  # type: ignore[arg-type]
    assert cured == {"net": "", "net-blur": "net", "network": "", "deep": ""}


def test_jagged_images_are_told_with_their_interval(tmp_path: Path) -> None:
    (tmp_path / "embed").mkdir()
    write_jagged(tmp_path / "embed/net.h5")
    finding = findings_shifts.findings(Files.read([tmp_path / "embed/net.h5"]))[0]
    assert re.fullmatch(r"Jagged images: net \d+ % \(\d+ % to \d+ %\)\.", finding.here)
    assert finding.agrees == YES


def test_the_page_holds_findings_figures_and_commands(results: list[Path], tmp_path: Path) -> None:
    pictures = [tmp_path / "seen.png", tmp_path / "matrix.png", tmp_path / "mine.svg"]
    for picture in pictures:
        picture.write_bytes(PNG if picture.suffix == ".png" else b"<svg/>")
    page = tmp_path / "index.html"
    assert invoke("findings categories -o", page, *results, *pictures) == 0
    text = page.read_text()
    order = re.findall(r'<figure id="(\w+)"', text)
    assert order == ["matrix", "seen", "mine"]
    assert base64.b64encode(PNG).decode() in text
    assert "arXiv:2007.00112" in text and "Figure 2a. Accuracy of networks" in text
    assert "<details>" in text and "invtool " in text.partition("<pre>")[2]
    assert not re.search(r'(src|href)="(?!data:)', text)  # self-contained
    assert invoke("findings categories -o", page, *results) == 2  # exists


def test_what_a_file_says_is_escaped(tmp_path: Path) -> None:
    path = write_invariance(
        tmp_path / "<b>.h5", seen=10, transforms=["blur"], trained="blur", more=True
    )
    (tmp_path / "<script>.png").write_bytes(PNG)
    assert (
        invoke("findings categories -o", tmp_path / "i.html", path, tmp_path / "<script>.png") == 0
    )
    assert "<script>" not in (tmp_path / "i.html").read_text()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("findings categories missing.h5", "missing.h5: no such file"),
        ("findings categories -", "read from files"),
        ("findings categories images.h5", "images"),
        ("findings categories there.h5 -o out.xyz", "out.xyz: use .html"),
    ],
)
def test_it_refuses(
    line: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images.h5")
    write_itn(tmp_path / "there.h5")
    assert invoke(line) in (1, 2)
    assert sentence in capfd.readouterr().err


def test_a_pipe_gets_csv_with_a_row_a_finding(
    results: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    assert invoke("findings categories -f csv", *results) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "where,paper says,measured here,agrees"
    assert len(lines) == 1 + len(findings_categories.findings(Files.read(results)))
    assert np.sum([line.endswith(",yes") for line in lines]) >= 5

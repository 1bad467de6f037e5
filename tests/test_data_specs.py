"""The grammar of data specs: what each means, and one sentence for each mistake."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invtool.data import specs
from invtool.data.specs import DOWNLOADED, EMBEDDED, EMBEDDED_OPTIONS, DataSpec, parse
from invtool.errors import InvtoolError, UsageError


def test_defaults_and_options() -> None:
    defaults = {key: default for key, (default, _) in EMBEDDED_OPTIONS.items()}
    assert parse("faces") == DataSpec("faces", "", defaults)
    assert parse("objects:").options == defaults
    told = parse("faces:categories=388,size=64")
    assert told.options == {**defaults, "categories": 388, "size": 64}
    assert parse("cifar10:size=16").options == {"size": 16, "seed": 0}


def test_a_seed_beside_the_spec_gives_way_to_one_inside() -> None:
    assert parse("faces", seed=3).options["seed"] == 3
    assert parse("faces:seed=4", seed=3).options["seed"] == 4


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("faces", "faces"),
        ("faces:", "faces"),
        ("faces:categories=100", "faces"),
        ("faces:train=8,size=16,categories=6", "faces:categories=6,size=16,train=8"),
        ("objects:seed=01", "objects:seed=1"),
        ("mnist:size=16", "mnist:size=16"),
    ],
)
def test_the_canonical_text_is_the_shortest(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@given(
    st.sampled_from(EMBEDDED),
    st.fixed_dictionaries(
        {}, optional={key: st.integers(low, 500) for key, (_, low) in EMBEDDED_OPTIONS.items()}
    ),
)
def test_the_canonical_text_reads_back_alike(name: str, told: dict[str, int]) -> None:
    text = f"{name}:" + ",".join(f"{key}={value}" for key, value in told.items())
    spec = parse(text)
    assert parse(str(spec)) == spec
    assert str(parse(str(spec))) == str(spec)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "a,b").mkdir()
    (tmp_path / "faces").mkdir()
    (tmp_path / "x:y.h5").touch()
    assert parse("photos") == parse("folder:photos")
    assert str(parse("photos")) == "folder:photos"
    assert str(parse("folder:photos,size=64,seed=2")) == "folder:photos,seed=2,size=64"
    assert parse("folder:a,b").path == "a,b"
    assert parse("folder:a,b,size=9") == DataSpec(
        "folder", "a,b", {"size": 9, "seed": 0, "crop": 0, "numbered": 0}
    )
    for text in ("folder:a,b", "folder:a,b,size=9", "x:y.h5", "-"):
        assert str(parse(text)) == text
    assert parse("faces").name == "faces"  # a data set of invtool comes before a folder ...
    assert parse("./faces").name == "folder"  # ... which has a longer name, too
    assert parse("x:y.h5") == DataSpec("file", "x:y.h5", {})


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("facse", UsageError, "no data set 'facse'; did you mean faces?"),
        ("facse:size=3", UsageError, "did you mean faces?"),
        ("qqqq", UsageError, "no data set 'qqqq'; known: faces, objects, cifar10"),
        ("faces:colour=3", UsageError, "no option 'colour'; it has categories, size, train, test"),
        ("faces:size=8", UsageError, "size=8 is wrong; an integer from 16 is wanted"),
        ("faces:train=0", UsageError, "train=0 is wrong; an integer from 1 is wanted"),
        ("faces:train", UsageError, "train= is wrong"),
        ("faces:train=1.5", UsageError, "train=1.5 is wrong"),
        ("faces:seed=-1", UsageError, "seed=-1 is wrong"),
        ("mnist:categories=3", UsageError, "no option 'categories'; it has size, seed"),
        ("missing.h5", InvtoolError, "missing.h5: no such file or folder"),
        ("a/b", InvtoolError, "a/b: no such file or folder"),
        ("folder:missing", InvtoolError, "folder:missing: no such folder"),
        ("folder:", InvtoolError, "folder:: no such folder"),
        ("", UsageError, "no data set ''"),
    ],
)
def test_mistakes(text: str, kind: type[InvtoolError], sentence: str) -> None:
    with pytest.raises(kind) as caught:
        parse(text)
    assert type(caught.value) is kind
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_downloaded_sets_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVTOOL_DATA", str(tmp_path))
    assert specs.data_root() == tmp_path
    for unset in ("", None):
        monkeypatch.delenv("INVTOOL_DATA", raising=False)
        if unset is not None:
            monkeypatch.setenv("INVTOOL_DATA", unset)
        with pytest.raises(InvtoolError, match="set INVTOOL_DATA"):
            specs.data_root()


def test_every_name_is_spelled_as_the_help_says() -> None:
    from invtool.cli import data

    assert data.main.__doc__ is not None
    told = data.main.__annotations__["spec"].__metadata__[0].help
    assert all(name in told for name in EMBEDDED + DOWNLOADED)

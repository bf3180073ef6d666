"""Settings: strict in, equal out, and a message that says where and what."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cattrs", reason="needs the extra `train`")

from acutance.config.settings import from_values, read_toml, to_toml, to_values, with_overrides
from acutance.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    radius: float = 1.0
    kind: Literal["circle"] = "circle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    side: int
    kind: Literal["square"] = "square"

    def __post_init__(self):
        if self.side < 1:
            raise ConfigError(f"square.side = {self.side}: must be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    width: float = 0.5
    colour: Literal["black", "red"] = "black"
    layers: Literal[1, 2] = 1
    is_fine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    name: str
    shapes: tuple[Circle | Square, ...] = ()
    pen: Pen = field(default_factory=Pen)
    limit_s: float | None = None
    span: tuple[float, float] = (0.0, 1.0)
    tags: tuple[str, ...] = ()
    file: Path = Path("a.png")


def read(**values):
    return from_values(Drawing, {"name": "d", **values}, source="d.toml")


# --- in ---------------------------------------------------------------------------------------------------


def test_defaults_fill_what_is_not_given():
    assert read() == Drawing(name="d")


def test_every_kind_of_value_is_read():
    drawing = read(
        shapes=[{"kind": "square", "side": 3}, {"kind": "circle"}],
        pen={"width": 2, "colour": "red", "is_fine": True},
        limit_s=1.5,
        span=[1, 2.5],
        tags=["x", "y"],
        file="b/c.png",
    )
    assert drawing == Drawing(
        name="d",
        shapes=(Square(side=3), Circle()),
        pen=Pen(width=2.0, colour="red", is_fine=True),
        limit_s=1.5,
        span=(1.0, 2.5),
        tags=("x", "y"),
        file=Path("b/c.png"),
    )
    assert isinstance(drawing.pen.width, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shaps": []}, r"d\.toml: unknown setting 'shaps' \(did you mean 'shapes'\?\)\.$"),
        ({"colour": "red"}, r"unknown setting 'colour' \(did you mean 'pen\.colour'\?\)\.$"),
        ({"side": 3}, r"unknown setting 'side' \("),
        ({"zzz": 1}, r"unknown setting 'zzz' \(known: name, shapes, pen, limit_s, span, tags, file\)"),
        ({"pen": {"widht": 1.0}}, r"unknown setting 'widht' \(did you mean 'width'\?\) \(at pen\)"),
        ({"shapes": [{"kind": "circle"}, {"kind": "square", "sides": 1}]}, r"'sides'.*\(at shapes\[1\]\)"),
        ({"shapes": [{"kind": "triangle"}]}, r"kind = 'triangle': must be one of circle, square \(at shapes\[0\]\)"),
        ({"shapes": [{}]}, r"kind = None: must be one of circle, square"),
        ({"shapes": [3]}, r"kind = 3: must be one of circle, square"),
        ({"shapes": {"kind": "circle"}}, r"shapes = .*: must be a list"),
        ({"shapes": [{"kind": "square"}]}, r"'side' is missing \(at shapes\[0\]\.side\)"),
        ({"shapes": [{"kind": "square", "side": 0}]}, r"square\.side = 0: must be at least 1 \(at shapes\[0\]\)"),
        ({"name": 3}, r"3: must be of type str \(at name\)"),
        ({"pen": {"width": "2"}}, r"'2': must be of type float \(at pen\.width\)"),
        ({"pen": {"width": True}}, r"True: must be of type float"),
        ({"pen": {"is_fine": 1}}, r"1: must be of type bool \(at pen\.is_fine\)"),
        ({"pen": {"colour": "blue"}}, r"'blue': must be one of 'black', 'red' \(at pen\.colour\)"),
        ({"pen": {"layers": 2.0}}, r"2\.0: must be one of 1, 2"),
        ({"pen": {"layers": True}}, r"True: must be one of 1, 2"),
        ({"pen": 3}, r"3: must be a table of settings \(at pen\)"),
        ({"pen": []}, r"\[\]: must be a table of settings \(at pen\)"),
        ({"shapes": [{"kind": "square", "side": 3.7}]}, r"3\.7: must be of type int"),
        ({"limit_s": "soon"}, r"'soon': must be of type float \(at limit_s\)"),
        ({"span": [1.0]}, r"\(at span\)"),
        ({"span": [1.0, 2.0, 3.0]}, r"\(at span\)"),
        ({"span": 1.0}, r"span = 1\.0: must be a list"),
        ({"tags": "xyz"}, r"tags = 'xyz': must be a list"),
        ({"file": 7}, r"7: must be of type str \(at file\)"),
    ],
    ids=str,
)
def test_wrong_values_are_refused_by_place(values, message):
    with pytest.raises(ConfigError, match=message):
        read(**values)


def test_all_faults_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        read(nam="x", pen={"width": "2", "colour": "blue"})
    for part in ("'nam'", "pen.width", "pen.colour"):
        assert part in str(caught.value)


def test_a_required_setting_must_be_there():
    with pytest.raises(ConfigError, match="'name' is missing"):
        from_values(Drawing, {}, source="d.toml")


# --- out --------------------------------------------------------------------------------------------------

shapes = st.one_of(st.builds(Circle, radius=st.floats(allow_nan=False)), st.builds(Square, side=st.integers(1, 2**60)))
pens = st.builds(Pen, width=st.floats(allow_nan=False), colour=st.sampled_from(["black", "red"]), is_fine=st.booleans())
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
drawings = st.builds(
    Drawing,
    name=words,
    shapes=st.lists(shapes, max_size=3).map(tuple),
    pen=pens,
    limit_s=st.none() | st.floats(allow_nan=False),
    span=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
    tags=st.lists(words, max_size=3).map(tuple),
    file=st.sampled_from([Path("a"), Path("b/c d.png")]),
)


@settings(max_examples=50, deadline=None)
@given(drawing=drawings)
def test_written_settings_reload_equal(tmp_path_factory, drawing):
    path = tmp_path_factory.getbasetemp() / "drawing.toml"
    path.write_text(to_toml(drawing), encoding="utf-8", newline="")
    assert from_values(Drawing, read_toml(path), source="again") == drawing


def test_none_is_left_out():
    assert "limit_s" not in to_values(Drawing(name="d"))


# --- files ------------------------------------------------------------------------------------------------


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read \(No such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path)
    for content in (b"name = ", b"\xff\xfe\x00"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match="not a TOML file"):
            read_toml(tmp_path / "bad.toml")


# --- overrides --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("batch=8", {"batch": 8}),
        (" batch = 8 ", {"batch": 8}),
        ("rate=4e-4", {"rate": 4e-4}),
        ("on=true", {"on": True}),
        ("rows=['a', 'b']", {"rows": ["a", "b"]}),
        ("name=fast", {"name": "fast"}),
        ("name='8'", {"name": "8"}),
        ("data=1 000 photos = good ones", {"data": "1 000 photos = good ones"}),
        ("name=", {"name": ""}),
        ("pen.width=2", {"pen": {"width": 2}}),
        ("a.b.c=1", {"a": {"b": {"c": 1}}}),
    ],
)
def test_overrides_are_toml_or_plain_text(override, expected):
    assert with_overrides({}, [override]) == expected


def test_overrides_replace_one_value_and_keep_the_rest():
    values = {"pen": {"width": 1.0, "colour": "red"}, "name": "d"}
    changed = with_overrides(values, ["pen.width=2.0", "name=e", "name=f"])
    assert changed == {"pen": {"width": 2.0, "colour": "red"}, "name": "f"}
    assert values == {"pen": {"width": 1.0, "colour": "red"}, "name": "d"}


@pytest.mark.parametrize("override", ["batch", "=3", "", " =3"])
def test_overrides_without_key_or_value_are_refused(override):
    with pytest.raises(ConfigError, match=r"must look like key=value, e\.g\. --set batch=8"):
        with_overrides({}, [override])


@pytest.mark.parametrize("override", ["name.x=3", "shapes.0.side=3"])
def test_overrides_lead_through_tables_only(override):
    with pytest.raises(ConfigError, match="is not a table"):
        with_overrides({"name": "d", "shapes": [{"side": 1}]}, [override])

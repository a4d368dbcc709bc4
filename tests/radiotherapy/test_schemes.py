"""Whether the schemes say what their sources say: edges, closed sides, isodoses, what is verified."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.radiotherapy.schemes import load_schemes, scheme_from_toml

SCHEMES = load_schemes()
OWN = """
name = "own"
measure = "isodose_share"
isodose_fraction = 0.9
reference = "highest"
[[classes]]
name = "in"
group = "inside"
at_least = 0.5
[[classes]]
name = "out"
group = "outside"
"""


def test_all_ten_schemes_come_along():
    assert list(SCHEMES) == [
        "mohamed_2016",
        "dawson_2000",
        "chao_2003",
        "mcdonald_2010",
        "minniti_2010",
        "gebhardt_2014",
        "lee_1999",
        "point_of_origin",
        "distance_2cm",
        "welsh2025",
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("mcdonald_2010", 0.951, "central"),
        ("mcdonald_2010", 0.95, "infield"),
        ("mcdonald_2010", 0.805, "infield"),
        ("mcdonald_2010", 0.80, "marginal"),
        ("mcdonald_2010", 0.20, "marginal"),
        ("mcdonald_2010", 0.199, "distant"),
        ("gebhardt_2014", 0.81, "in-field"),
        ("gebhardt_2014", 0.80, "marginal"),
        ("gebhardt_2014", 0.20, "marginal"),
        ("gebhardt_2014", 0.0, "distant"),
        ("dawson_2000", 0.96, "in-field"),
        ("dawson_2000", 0.95, "marginal"),
        ("dawson_2000", 0.19, "out-of-field"),
        ("chao_2003", 0.5, "marginal"),
        ("minniti_2010", 0.96, "central"),
        ("lee_1999", 0.95, "central"),
        ("lee_1999", 0.80, "in-field"),
        ("lee_1999", 0.79, "marginal"),
        ("distance_2cm", 20.0, "local"),
        ("distance_2cm", 20.1, "distant"),
        ("welsh2025", 0.95, "inside"),
        ("welsh2025", 0.01, "peripheral"),
        ("welsh2025", 0.0, "outside"),
    ],
)
def test_number_has_the_class_of_its_source(name, value, expected):
    scheme = SCHEMES[name]
    assert scheme.classes[int(scheme.class_index(np.array([value]))[0])].name == expected


@pytest.mark.parametrize(
    ("target", "d95_share", "expected"),
    [("highest", 0.95, "A"), ("highest", 0.94, "B"), ("lower", 1.2, "C"), ("lower", 0.5, "D"), ("none", np.nan, "E")],
)
def test_mohamed_has_five_types_by_target_and_d95(target, d95_share, expected):
    scheme = SCHEMES["mohamed_2016"]
    index = int(scheme.class_index(np.array([d95_share]), np.array([target]))[0])
    assert scheme.classes[index].name.split()[0] == expected


@pytest.mark.parametrize("name", SCHEMES)
def test_a_number_that_is_not_known_has_no_class(name):
    assert SCHEMES[name].class_index(np.array([np.nan]), np.array(["highest"]))[0] == -1


@pytest.mark.parametrize("name", [n for n, s in SCHEMES.items() if s.measure not in ("target_and_d95", "origin_in_target")])
def test_every_known_number_has_exactly_one_class(name):
    assert (SCHEMES[name].class_index(np.linspace(0, 50, 5001)) >= 0).all()


def test_isodoses_differ_between_sources():
    assert SCHEMES["mcdonald_2010"].isodose_fraction == 1.0
    assert SCHEMES["gebhardt_2014"].isodose_fraction == 0.95
    assert SCHEMES["chao_2003"].isodose_fraction is None


def test_edges_tell_the_side_that_is_closed():
    assert SCHEMES["gebhardt_2014"].edges == ((0.8, "marginal"), (0.2, "marginal"))
    assert SCHEMES["lee_1999"].edges[0] == (0.95, "central")


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_with_a_part_from_memory_says_so(name):
    scheme = SCHEMES[name]
    assert scheme.mark == "M" or all(c.mark == "S" for c in scheme.classes)
    assert scheme.citation
    assert scheme.notes


def test_only_lee_and_the_distance_rule_are_wholly_from_memory():
    wholly = [n for n, s in SCHEMES.items() if all(c.mark == "M" for c in s.classes)]
    assert wholly == ["lee_1999", "distance_2cm"]


def test_ones_own_scheme_is_read_from_text():
    scheme = scheme_from_toml(OWN)
    assert [scheme.classes[i].name for i in scheme.class_index(np.array([0.5, 0.49]))] == ["in", "out"]
    assert scheme.mark == "M"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "own"', "name = own", "TOML"),
        ('measure = "isodose_share"', 'measure = "vibes"', "'isodose_share'"),
        ("isodose_fraction = 0.9", "isodose_fraction = 95", "isodose_fraction"),
        ("isodose_fraction = 0.9", "", "isodose_fraction"),
        ("at_least = 0.5", "atleast = 0.5", "unknown keys atleast"),
        ('group = "outside"', 'group = "outside"\nbelow = 0.5', "last class"),
        ('group = "inside"', "", "lacks group"),
        ('name = "out"', 'name = "in"', "names of their own"),
        ('reference = "highest"', 'reference = "own"', "reference"),
        ('reference = "highest"', 'point = "centroid"', "point"),
        (
            '"isodose_share"\nisodose_fraction = 0.9\nreference = "highest"',
            '"seed_sphere"\nisodose_fraction = 0.9',
            "codes 1, 2 and 0",
        ),
    ],
)
def test_a_scheme_that_makes_no_sense_is_refused_and_told_why(old, new, says):
    with pytest.raises(ParameterError, match=says):
        scheme_from_toml(OWN.replace(old, new, 1))

from __future__ import annotations

import re

import pytest

from regrowth.report import methods_text

STEPS = ("index", "coregister", "brain", "tumour", "segment", "parcellate", "register", "recurrence", "measure", "report")


def test_references_are_numbered_in_the_order_of_the_text_and_all_are_listed():
    text, references = methods_text(STEPS, {"regrowth": "1.0"}, {s: {"engine": "sitk"} for s in STEPS})
    numbers = [int(n) for n in re.findall(r"\[(\d+)\]", text)]
    assert list(dict.fromkeys(numbers)) == list(range(1, len(references) + 1))
    assert [int(re.match(r"\[(\d+)\] ", r).group(1)) for r in references] == list(range(1, len(references) + 1))


def test_only_what_ran_is_described_and_cited():
    text, references = methods_text(["register"], {"regrowth": "1.0", "greedy": "1.4"}, {"register": {"engine": "greedy"}})
    assert "Greedy 1.4 [1]" in text
    assert len(references) == 1
    assert "Hausdorff" not in text
    assert "Brain Imaging Data Structure" not in text


@pytest.mark.parametrize("parameters", [{}, {"dilate_mm": 2.5}, {"kind": "rigid"}, {"engine": "elastix", "seed": 3}])
def test_a_parameter_that_is_not_known_is_not_claimed(parameters):
    text, _ = methods_text(["register"], {}, {"register": parameters})
    assert not re.search(r"[{}<>]", text)
    assert ("widened by 2.5 mm" in text) == ("dilate_mm" in parameters)
    assert ("rigidly" in text) == ("kind" in parameters)
    assert ("Parameters: seed = 3." in text) == ("seed" in parameters)


def test_a_registration_that_stopped_early_is_not_called_deformable():
    rigid, _ = methods_text(["register"], {}, {"register": {"kind": "rigid"}})
    deformable, _ = methods_text(["register"], {}, {"register": {"kind": "deformable"}})
    assert "deformably" not in rigid
    assert "rigidly, then affinely, then deformably" in deformable


def test_rano_is_cited_only_where_the_thresholds_of_the_trend_are_stated():
    without, _ = methods_text(["recurrence"], {}, {})
    stated, references = methods_text(["recurrence"], {}, {"recurrence": {"growth_share": 0.4, "shrinkage_share": 0.65}})
    assert "RANO" not in without
    assert "from a relative increase of 0.4 and shrinking from a decrease of 0.65" in stated
    assert "10.1200/JCO.23.01059" in references[1]


def test_values_with_braces_or_brackets_are_written_as_they_are():
    text, _ = methods_text(["segment"], {}, {"segment": {"engine": "a {engine} <b>", "x": "{y}"}})
    assert "segmented with a {engine} <b>." in text
    assert "x = {y}" in text


def test_an_unknown_step_is_named_and_never_left_out():
    text, references = methods_text(["fit growth"], {}, {"fit growth": {"model": "FK"}})
    assert "The step “fit-growth” was run. Parameters: model = FK." in text
    assert references == ()


def test_steps_may_be_named_as_the_design_names_them():
    plain, _ = methods_text(["recurrence", "coregister"], {}, {})
    spelt, _ = methods_text(["map recurrence", "coregister_sessions", "map recurrence"], {}, {})
    assert plain == spelt


def test_other_software_is_listed_with_its_version():
    text, _ = methods_text(["register"], {"regrowth": "1", "greedy": "1.4", "numpy": "2.2"}, {"register": {"engine": "greedy"}})
    assert "Other software: numpy 2.2." in text

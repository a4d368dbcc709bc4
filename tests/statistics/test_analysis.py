from __future__ import annotations

import math

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.phantom.clinical import LOCATIONS, TRANSITIONS, clinical_truth, synthetic_clinical
from regrowth.statistics.analysis import PARTS, analyse
from regrowth.statistics.clinical import read_clinical
from regrowth.statistics.cox import cox
from regrowth.statistics.dictionary import COHORT_COLUMNS, column_entry, data_dictionary
from regrowth.statistics.model_matrix import COVARIATE_TEXTS, model_matrix
from regrowth.statistics.parameters import StatisticsParameters

TRUTH: dict[str, float] = clinical_truth()["log_hazard_ratios"]
ALL = StatisticsParameters(search_cut=True, imputations=5, permutations=199, bootstraps=40)


@pytest.fixture(scope="module")
def table():
    return read_clinical(synthetic_clinical(200, seed=3))


@pytest.fixture(scope="module")
def analysis(table):
    return analyse(table, ALL, classes=LOCATIONS)


def bare(*columns: str, n: int = 60):
    rows = synthetic_clinical(n, seed=5)
    return read_clinical([{c: r[c] for c in ("participant_id", "os_days", "os_event", *columns)} for r in rows])


def test_every_part_of_a_complete_table_is_there(analysis):
    assert analysis.reasons == {}
    assert all(getattr(analysis, part) is not None for part in PARTS)


def test_the_known_hazard_ratios_lie_in_the_printed_intervals(analysis):
    for table in ("cox", "cox_imputed"):
        rows = {r["covariate"]: r for r in analysis.tables()[table]}
        assert set(rows) == set(TRUTH) == set(COVARIATE_TEXTS)
        for name, value in TRUTH.items():
            assert rows[name]["lower"] <= math.exp(value) <= rows[name]["upper"], (table, name)


def test_the_known_transitions_and_the_exponent_of_migration_lie_in_the_printed_intervals(analysis):
    rows = [r for r in analysis.tables()["new_site"] if r["primary"] != "all"]
    moves = [1 - TRANSITIONS[place][place] for place in map(LOCATIONS.index, [r["primary"] for r in rows])]
    inside = [r["lower"] <= truth <= r["upper"] for r, truth in zip(rows, moves, strict=True)]
    assert sum(inside) >= len(inside) - 1  # of eight intervals at 95 % one may miss
    slope = analysis.tables()["migration"][1]
    assert slope["lower"] <= clinical_truth()["migration"]["exponent"] <= slope["upper"]


def test_there_is_no_interaction_where_the_truth_has_none(analysis):
    rows = {r["age"]: r for r in analysis.tables()["interaction"]}
    assert set(rows) == {50.0, 60.0, 70.0}
    assert all(r["lower"] <= math.exp(TRUTH["mgmt_methylated"]) <= r["upper"] for r in rows.values())


def test_counts_of_the_parts_add_up(table, analysis):
    tables = analysis.tables()
    model, rows = tables["cox_model"][0], tables["survival"]
    assert model["n"] + model["incomplete"] == 200
    assert {r["comparison"] for r in rows} == {"all", "mgmt", "location_primary", "ratio_cut"}
    assert sum(r["n"] for r in rows if r["comparison"] == "ratio_cut") + analysis.cut.n_missing == 200
    clock = analysis.after_recurrence.clock
    assert len(clock.rows) + sum(clock.excluded.values()) == 200
    competing = analysis.competing
    censored = 200 - competing.recurrence.n_events - competing.death.n_events
    assert competing.recurrence.n_events == int(table.number("ttp_event").sum())
    assert competing.death.n_events > 0
    assert censored > 0


def test_migration_says_nothing_about_survival_once_the_time_to_recurrence_is_known(analysis):
    crude, adjusted = analysis.tables()["after_recurrence_migration"]
    assert crude["upper"] < 1  # confounded: who recurs late lives longer and migrates further
    assert adjusted["lower"] < 1 < adjusted["upper"]


def test_the_published_cut_stands_beside_the_measured_one(analysis):
    rows = {r["model"]: r for r in analysis.tables()["cut"]}
    assert rows["published"]["hazard_ratio"] == 0.56
    assert rows["at most the cut, crude"]["cut"] == 0.324
    assert rows["log ratio, adjusted"]["lower"] <= math.exp(TRUTH["log_ratio"]) <= rows["log ratio, adjusted"]["upper"]


def test_every_column_that_is_written_is_in_the_data_dictionary(analysis):
    tables = analysis.tables() | {"cohort": synthetic_clinical(3, seed=0)}
    entries = data_dictionary(tables)
    assert set(entries) == set(tables)
    for name, rows in tables.items():
        assert set(entries[name]) == {column for row in rows for column in row}
        assert all(entry["Description"] for entry in entries[name].values())
    assert "migration_mm" in COHORT_COLUMNS
    assert column_entry("cohort", "age")["Units"] == "years"
    assert "this age" in column_entry("interaction", "hazard_ratio")["Description"]


def test_a_column_without_an_entry_is_refused():
    with pytest.raises(ParameterError, match="'surprise' is not in the data dictionary"):
        data_dictionary({"table": [{"surprise": 1}]})


def test_missing_values_are_counted_in_tables_and_notes(table, analysis):
    rows = {r["variable"]: r for r in analysis.tables()["missing"] if not r["reason"]}
    assert rows["mgmt"]["missing"] == int(table.missing("mgmt").sum()) > 0
    assert any("with a missing covariate are left out; they are imputed" in note for note in analysis.notes)
    assert analysis.cox.pooled.n == 200 > analysis.cox.fit.n


def test_the_seed_repeats_the_analysis_and_parts_do_not_disturb_each_other(table, analysis):
    again = analyse(table, ALL, classes=LOCATIONS)
    np.testing.assert_equal(again.tables(), analysis.tables())
    alone = analyse(table, StatisticsParameters(permutations=199, bootstraps=40), classes=LOCATIONS)
    assert alone.transitions.agreement == analysis.transitions.agreement
    assert alone.cox.concordance == analysis.cox.concordance
    assert alone.reasons == {"searched": "not asked for (search_cut)"}


def test_the_other_endpoint_is_analysed_with_a_warning_about_deaths(table):
    found = analyse(table, StatisticsParameters(endpoint="ttp", bootstraps=20, permutations=99))
    assert found.n_events == int(table.number("ttp_event").sum())
    assert any("competing" in note for note in found.notes)


def test_survival_columns_alone_give_survival_and_reasons_for_the_rest():
    found = analyse(bare())
    assert found.overall is not None
    assert set(found.reasons) == set(PARTS) - {"overall"}
    assert "no values of mgmt" in found.reasons["by_mgmt"]
    assert "ratio" in found.reasons["cut"]
    parts = {r["part"]: r for r in found.tables()["parts"]}
    assert parts["cox"]["status"] == "absent"
    assert parts["overall"]["status"] == "done"


def test_a_column_that_does_not_vary_leaves_the_model_with_a_note():
    rows = synthetic_clinical(80, seed=5)
    found = analyse(read_clinical([r | {"idh": "wildtype"} for r in rows]), StatisticsParameters(bootstraps=20))
    assert "idh_mutant" not in found.cox.fit.names
    assert any("idh: the same in all patients" in note for note in found.notes)


def test_a_scheme_without_necrosis_gives_no_cut_but_the_reason():
    rows = [r | {"label_scheme": "hd-glio"} for r in synthetic_clinical(40, seed=5)]
    found = analyse(read_clinical(rows), StatisticsParameters(bootstraps=20))
    assert "hd-glio cannot tell the CE core" in found.reasons["cut"]
    assert any("hd-glio" in str(r["reason"]) for r in found.tables()["missing"])


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_tiny_cohorts_never_fail(n):
    found = analyse(
        read_clinical(synthetic_clinical(n, seed=8)), StatisticsParameters(search_cut=True, bootstraps=20, imputations=2)
    )
    assert found.overall is not None
    assert data_dictionary(found.tables())


def test_a_cohort_without_events_gives_a_flat_curve_and_reasons():
    rows = [r | {"os_event": 0, "ttp_event": 0} for r in synthetic_clinical(40, seed=8)]
    found = analyse(read_clinical(rows), StatisticsParameters(bootstraps=20))
    assert found.n_events == 0
    assert "events" in found.reasons["cox"]
    assert "events" in found.reasons["cut"] or "event(s)" in found.reasons["cut"]
    assert found.overall.curves["all"].median == math.inf
    assert data_dictionary(found.tables())


def test_separation_is_a_reason_that_recommends_firth_and_firth_works():
    rows = synthetic_clinical(60, seed=8, missing_share=0)
    rows = [r | {"idh": "mutant" if not r["os_event"] else "wildtype"} for r in rows]
    plain = analyse(read_clinical(rows), StatisticsParameters(bootstraps=20))
    assert "firth" in plain.reasons["cox"]
    assert "idh_mutant" in plain.reasons["cox"]
    firth = analyse(read_clinical(rows), StatisticsParameters(bootstraps=20, penalty="firth"))
    assert firth.cox is not None


def test_intervals_of_the_cox_model_cover_the_truth_in_simulated_cohorts():
    inside = np.zeros(len(TRUTH))
    for seed in range(100, 200):
        cohort = read_clinical(synthetic_clinical(150, seed=seed, missing_share=0))
        matrix = model_matrix(cohort)
        time, event, _ = cohort.endpoint("os")
        limits = cox(time, event, matrix.values, matrix.names).interval()
        truth = np.array([TRUTH[name] for name in matrix.names])
        inside += (limits[:, 0] <= truth) & (truth <= limits[:, 1])
    # 95 % of 100: 89 to 99 holds for all seven with a chance of about 98 %; together 700 intervals are within 93 to 97 %.
    assert (inside >= 89).all()
    assert 0.93 <= inside.mean() / 100 <= 0.97


@pytest.mark.parametrize(
    "bad",
    [
        {"endpoint": "pfs"},
        {"penalty": "lasso"},
        {"penalty": "ridge"},
        {"cut": 0.0},
        {"level": 95.0},
        {"permutations": 5},
        {"bootstraps": 0},
        {"imputations": 1},
        {"ages": "young"},
        {"ages": ""},
        {"label_error": 1.0},
        {"seed": -1},
    ],
)
def test_choices_out_of_range_are_refused(bad):
    with pytest.raises(ParameterError):
        StatisticsParameters(**bad)


def test_every_choice_has_a_help_text_and_a_unit():
    from dataclasses import fields

    assert all(f.metadata["help"] and f.metadata["unit"] for f in fields(StatisticsParameters))
    assert StatisticsParameters().ages_years == (50, 60, 70)


@pytest.mark.parametrize("seed", range(12))
def test_mutilated_tables_lose_parts_but_never_fail(seed):
    rng = np.random.default_rng(seed)
    rows = synthetic_clinical(int(rng.integers(3, 40)), seed, missing_share=float(rng.choice([0.0, 0.3, 0.9])))
    columns = [c for c in rows[0] if c not in ("participant_id", "os_days", "os_event")]
    dropped = set(rng.choice(columns, 4, replace=False).tolist())
    rows = [{k: v for k, v in r.items() if k not in dropped} for r in rows]
    for row in rows:
        row.update({k: None for k in row if k != "participant_id" and rng.random() < 0.05})
    found = analyse(read_clinical(rows), StatisticsParameters(permutations=99, bootstraps=20, imputations=2, search_cut=True))
    assert all((getattr(found, part) is None) == (part in found.reasons) for part in PARTS)
    assert data_dictionary(found.tables())

"""What a clinical table says about a cohort: every part that its columns allow, and a reason for every other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from regrowth.errors import ParameterError
from regrowth.statistics.association import MigrationAssociation, migration_against_time
from regrowth.statistics.clinical import ClinicalTable
from regrowth.statistics.clocks import first_event
from regrowth.statistics.competing import cumulative_incidence
from regrowth.statistics.cutpoint import NO_ESTIMATE, FixedCut, fixed_cut, why_not
from regrowth.statistics.describe import table_one
from regrowth.statistics.interaction import AgeInteraction, age_interaction
from regrowth.statistics.model_matrix import VARIABLES, model_matrix
from regrowth.statistics.parameters import StatisticsParameters
from regrowth.statistics.parts import (
    CompetingRisks,
    CoxAnalysis,
    GroupedSurvival,
    LocationTransitions,
    RecurrenceSurvival,
    cox_analysis,
    grouped_survival,
    recurrence_survival,
)
from regrowth.statistics.search import SearchedCut, searched_cut
from regrowth.statistics.transitions import agreement_against_chance, bowker, flip_sensitivity, transitions

__all__ = ["PARTS", "CohortAnalysis", "analyse"]

T = TypeVar("T")
Row = Mapping[str, object]

PARTS: Mapping[str, str] = {
    "overall": "survival of all patients",
    "by_mgmt": "survival by MGMT status",
    "by_location": "survival by location of the primary tumour",
    "cox": "Cox model",
    "cut": "validation of the published cut of the ratio",
    "searched": "cut searched in this cohort",
    "interaction": "MGMT by age",
    "competing": "recurrence and death without it as competing risks",
    "transitions": "location of primary and recurrence",
    "migration": "migration distance against time to progression",
    "after_recurrence": "survival after the recurrence",
}
"""Parts of an analysis in words."""

_LEAST_COMPLETE = 10


@dataclass(frozen=True, eq=False)
class CohortAnalysis:
    """The analysis of a cohort.

    Parameters
    ----------
    table, parameters
        What was analysed, and how.
    n_known, n_events
        Patients with a known endpoint, and events among them.
    table_one, table_one_by_mgmt
        Rows of Table 1.
    overall, by_mgmt, by_location
        Curves of the endpoint.
    cox, cut, searched, interaction, competing, transitions, migration, after_recurrence
        The parts of `PARTS`; None with an entry in `reasons` where one is absent.
    reasons
        Part to why it is absent.
    notes
        What the reader has to know about the data and the models.
    """

    table: ClinicalTable
    parameters: StatisticsParameters
    n_known: int
    n_events: int
    table_one: Sequence[Row]
    table_one_by_mgmt: Sequence[Row]
    overall: GroupedSurvival | None
    by_mgmt: GroupedSurvival | None
    by_location: GroupedSurvival | None
    cox: CoxAnalysis | None
    cut: FixedCut | None
    searched: SearchedCut | None
    interaction: AgeInteraction | None
    competing: CompetingRisks | None
    transitions: LocationTransitions | None
    migration: MigrationAssociation | None
    after_recurrence: RecurrenceSurvival | None
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def tables(self) -> dict[str, list[dict[str, object]]]:
        """Give all tables for writing: name to rows; every column has an entry in `regrowth.statistics.dictionary`."""
        from regrowth.statistics.analysis_tables import analysis_tables

        return analysis_tables(self)


def analyse(
    table: ClinicalTable,
    parameters: StatisticsParameters | None = None,
    rng: np.random.Generator | None = None,
    *,
    classes: Sequence[str] | None = None,
) -> CohortAnalysis:
    """Analyse a cohort.

    Nothing that is missing from the table is an error: the part that needs it is absent, with the reason.

    Parameters
    ----------
    table
        From `regrowth.statistics.clinical.read_clinical`.
    parameters
        Choices; the defaults when left out.
    rng
        Source of randomness; made from ``parameters.seed`` when left out. Each part has its own stream, so that turning one on
        does not change another.
    classes
        Order of the classes of location; sorted names when left out.

    Returns
    -------
    CohortAnalysis
    """
    chosen = parameters or StatisticsParameters()
    streams = dict(zip(PARTS, (rng or np.random.default_rng(chosen.seed)).spawn(len(PARTS)), strict=True))
    time, event, known = table.endpoint(chosen.endpoint)
    days, died = time[known], event[known]
    reasons: dict[str, str] = {}

    def attempt(part: str, build: Callable[[], T]) -> T | None:
        try:
            return build()
        except NO_ESTIMATE as error:  # one part without an estimate must not cost the others
            reasons[part] = why_not(error)
            return None

    def groups(column: str) -> GroupedSurvival:
        _require(table, column)
        return grouped_survival(days, died, table.level(column)[known], column, chosen.level)

    parts: dict[str, Any] = {
        "overall": attempt("overall", lambda: grouped_survival(days, died, None, "all", chosen.level)),
        "by_mgmt": attempt("by_mgmt", lambda: groups("mgmt")),
        "by_location": attempt("by_location", lambda: groups("location_primary")),
        "cox": attempt("cox", lambda: cox_analysis(table, chosen, streams["cox"])),
        "cut": attempt("cut", lambda: _cut(table, chosen)),
        "searched": attempt("searched", lambda: _searched(table, chosen, streams["searched"])),
        "interaction": attempt("interaction", lambda: _interaction(table, chosen)),
        "competing": attempt("competing", lambda: _competing(table, chosen)),
        "transitions": attempt("transitions", lambda: _transitions(table, chosen, streams["transitions"], classes)),
        "migration": attempt("migration", lambda: _migration(table, chosen)),
        "after_recurrence": attempt("after_recurrence", lambda: recurrence_survival(table, chosen)),
    }
    return CohortAnalysis(
        table=table,
        parameters=chosen,
        n_known=int(known.sum()),
        n_events=int(died.sum()),
        table_one=table_one(table),
        table_one_by_mgmt=table_one(table, by="mgmt") if table.has("mgmt") else (),
        **parts,
        reasons=reasons,
        notes=_notes(table, chosen, int((~known).sum()), parts),
    )


def _require(table: ClinicalTable, *columns: str) -> None:
    absent = [c for c in columns if not table.has(c)]
    if absent:
        raise ParameterError(f"the table has no values of {', '.join(absent)}")


def _require_events(events: np.ndarray, least: int = 2) -> None:
    if events.sum() < least:
        raise ParameterError(f"{int(events.sum())} event(s) are too few; it needs {least}")


def _cut(table: ClinicalTable, chosen: StatisticsParameters) -> FixedCut:
    _require_ratio(table)
    time, event, known = table.endpoint(chosen.endpoint)
    _require_events(event[known])
    others = model_matrix(table, [v for v in VARIABLES if v != "log_ratio"], among=known)
    return fixed_cut(
        time[known],
        event[known],
        table.number("ratio_CE_core_NE")[known],
        cut=chosen.cut,
        covariates=others.values[known],
        names=others.names,
        penalty=chosen.penalty,
        strength=chosen.penalty_strength,
        level=chosen.level,
    )


def _require_ratio(table: ClinicalTable) -> None:
    if not table.has("ratio_CE_core_NE"):
        why = sorted({reason for reason in table.ratio_reasons if reason and reason != "not given"})
        raise ParameterError(f"no patient has a ratio of CE core to NE{': ' + '; '.join(why) if why else ''}")


def _searched(table: ClinicalTable, chosen: StatisticsParameters, rng: np.random.Generator) -> SearchedCut:
    if not chosen.search_cut:
        raise ParameterError("not asked for (search_cut)")
    _require_ratio(table)
    time, event, known = table.endpoint(chosen.endpoint)
    return searched_cut(
        time[known],
        event[known],
        table.number("ratio_CE_core_NE")[known],
        rng,
        permutations=chosen.permutations,
        bootstraps=chosen.bootstraps,
        level=chosen.level,
    )


def _interaction(table: ClinicalTable, chosen: StatisticsParameters) -> AgeInteraction:
    _require(table, "age", "mgmt")
    time, event, known = table.endpoint(chosen.endpoint)
    both = known & ~table.missing("age") & ~table.missing("mgmt")
    others = model_matrix(table, ["sex", "idh", "eor"], among=both)
    use = others.complete
    if use.sum() < _LEAST_COMPLETE:
        raise ParameterError(f"{int(use.sum())} patients with age, MGMT and covariates are too few; it needs {_LEAST_COMPLETE}")
    _require_events(event[use], 5)
    return age_interaction(
        time[use],
        event[use],
        table.number("age")[use],
        (table.level("mgmt")[use] == "methylated").astype(float),
        chosen.ages_years,
        covariates=others.values[use],
        names=others.names,
        penalty=chosen.penalty,
        strength=chosen.penalty_strength,
        level=chosen.level,
    )


def _competing(table: ClinicalTable, chosen: StatisticsParameters) -> CompetingRisks:
    _require(table, "os_days", "os_event", "ttp_days", "ttp_event")
    causes = first_event(table)
    if not len(causes.rows):
        raise ParameterError("no patient has both a time to progression and an overall survival")
    curves = [cumulative_incidence(causes.time_days, causes.cause, cause, chosen.level) for cause in (1, 2)]
    return CompetingRisks(curves[0], curves[1], causes.excluded, causes.notes)


def _transitions(
    table: ClinicalTable, chosen: StatisticsParameters, rng: np.random.Generator, classes: Sequence[str] | None
) -> LocationTransitions:
    _require(table, "location_primary", "location_recurrence")
    first, second = (list(table.level(f"location_{when}")) for when in ("primary", "recurrence"))
    matrix = transitions(first, second, classes, level=chosen.level)
    if not matrix.n:
        raise ParameterError("no patient has both a location of the primary and of the recurrence")
    chance, flips = rng.spawn(2)
    return LocationTransitions(
        matrix,
        agreement_against_chance(first, second, chance, chosen.permutations),
        bowker(matrix.counts),
        flip_sensitivity(first, second, chosen.label_error, flips, matrix.classes, level=chosen.level),
        chosen.label_error,
    )


def _migration(table: ClinicalTable, chosen: StatisticsParameters) -> MigrationAssociation:
    _require(table, "migration_mm", "ttp_days", "ttp_event")
    found = migration_against_time(table, chosen.level)
    if found.correlation.reason and np.isnan(found.correlation.rho):
        raise ParameterError(found.correlation.reason)
    return found


def _notes(table: ClinicalTable, chosen: StatisticsParameters, unknown: int, parts: Mapping[str, Any]) -> tuple[str, ...]:
    notes = list(table.notes)
    if chosen.endpoint == "ttp":
        notes.append("deaths without recurrence are censored in the curves and models of ttp; see the competing risks")
    if unknown:
        notes.append(f"{unknown} patient(s) without a known {chosen.endpoint} time and event are left out of its analyses")
    for part in ("by_mgmt", "by_location"):
        grouped: GroupedSurvival | None = parts[part]
        if grouped is not None:
            notes += grouped.notes
            if grouped.n_missing:
                notes.append(f"{PARTS[part]}: {grouped.n_missing} patient(s) of unknown group are left out")
    model: CoxAnalysis | None = parts["cox"]
    if model is not None:
        how = "; they are imputed in a second model" if model.pooled else ""
        notes.append(f"{PARTS['cox']}: {model.n_incomplete} patient(s) with a missing covariate are left out{how}")
        notes += [f"{PARTS['cox']}: {note}" for note in model.notes]
    cut: FixedCut | None = parts["cut"]
    if cut is not None and cut.n_missing:
        notes.append(f"{PARTS['cut']}: {cut.n_missing} patient(s) without a ratio are left out")
    if (competing := parts["competing"]) is not None:
        notes += competing.notes
    if (interaction := parts["interaction"]) is not None and interaction.outside:
        notes.append(
            f"{PARTS['interaction']}: no patient is as young or as old as {', '.join(map('{:g}'.format, interaction.outside))}"
        )
    if (recurrence := parts["after_recurrence"]) is not None:
        notes += [f"{PARTS['after_recurrence']}: {n} left out, {why}" for why, n in recurrence.clock.excluded.items()]
    if (migration := parts["migration"]) is not None:
        notes.append(migration.caveat)
    return tuple(notes)

"""Which pieces the analysis of a cohort is made of: groups on one curve, the main model, survival after recurrence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import ParameterError
from regrowth.statistics.clinical import ClinicalTable
from regrowth.statistics.clocks import AfterRecurrence, after_recurrence
from regrowth.statistics.competing import CumulativeIncidence
from regrowth.statistics.concordance import ConcordanceResult, optimism_corrected_c, uno_c
from regrowth.statistics.cox import CoxFit, cox
from regrowth.statistics.cutpoint import Effect, effect
from regrowth.statistics.diagnostics import EventsPerVariable, events_per_variable, variance_inflation
from regrowth.statistics.imputation import PooledCox, imputed, nelson_aalen, pooled_cox
from regrowth.statistics.model_matrix import VARIABLES, ModelMatrix, model_matrix, variable_columns
from regrowth.statistics.parameters import StatisticsParameters
from regrowth.statistics.ph_test import proportional_hazards_test
from regrowth.statistics.survival import KaplanMeier, LogRank, kaplan_meier, log_rank
from regrowth.statistics.transitions import Agreement, Symmetry, Transitions

__all__ = [
    "CompetingRisks",
    "CoxAnalysis",
    "GroupedSurvival",
    "LocationTransitions",
    "RecurrenceSurvival",
    "cox_analysis",
    "grouped_survival",
    "recurrence_survival",
]

_LEAST_EVENTS = 5
_LEAST_GROUP = 5


@dataclass(frozen=True, eq=False)
class GroupedSurvival:
    """Curves of groups and the log-rank test between them.

    Parameters
    ----------
    variable
        What groups the patients; ``all`` for no groups.
    curves
        Group to curve.
    log_rank
        None for one group.
    n_missing
        Patients of the endpoint whose group is not known.
    notes
        Groups that were left out.
    """

    variable: str
    curves: Mapping[str, KaplanMeier]
    log_rank: LogRank | None
    n_missing: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CoxAnalysis:
    """The main model with what is needed to judge it.

    Parameters
    ----------
    fit
        Complete cases.
    rows
        One per covariate, with interval, as `CoxFit.as_rows`.
    proportional_hazards
        Rows of the test.
    variance_inflation
        Covariate to factor.
    events_per_variable
        With its warning.
    concordance, uno_c
        Harrell's C, corrected for optimism; Uno's C of the fit, without correction.
    n_incomplete
        Patients of the endpoint who were left out for a missing covariate.
    missing
        Variable to patients without it.
    notes
        Reference levels; what was dropped.
    pooled
        The model over imputed copies, None if not asked for.
    """

    fit: CoxFit
    rows: Sequence[Mapping[str, object]]
    proportional_hazards: Sequence[Mapping[str, object]]
    variance_inflation: Mapping[str, float]
    events_per_variable: EventsPerVariable
    concordance: ConcordanceResult
    uno_c: float
    n_incomplete: int
    missing: Mapping[str, int]
    notes: tuple[str, ...]
    pooled: PooledCox | None


@dataclass(frozen=True, eq=False)
class CompetingRisks:
    """Cumulative incidence of recurrence and of death without it, with the patients left out and how doubt was settled."""

    recurrence: CumulativeIncidence
    death: CumulativeIncidence
    excluded: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LocationTransitions:
    """Transitions of location, tested against chance and for symmetry, and their sensitivity to wrong labels."""

    matrix: Transitions
    agreement: Agreement
    symmetry: Symmetry
    flips: Sequence[Mapping[str, object]]
    label_error: float


@dataclass(frozen=True, eq=False)
class RecurrenceSurvival:
    """Survival from the exam of the recurrence.

    Parameters
    ----------
    clock
        Times from the exam.
    overall, by_pattern
        Curves of all, and by pattern (None if there are no two patterns).
    migration, migration_adjusted
        Hazard ratio per 10 mm of migration, alone and adjusted for the logarithm of the time to the exam: who recurs late
        tends to live longer afterwards, and had more time for the tumour to travel.
    """

    clock: AfterRecurrence
    overall: GroupedSurvival
    by_pattern: GroupedSurvival | None
    migration: Effect
    migration_adjusted: Effect


def grouped_survival(
    time: np.ndarray, event: np.ndarray, groups: np.ndarray | None, variable: str, level: float, least: int = _LEAST_GROUP
) -> GroupedSurvival:
    """Draw one curve per group.

    Parameters
    ----------
    time, event
        (n,) days and bool of the patients with a known endpoint.
    groups
        (n,) of str, empty where missing; None for one curve of all.
    variable
        Name of what groups them.
    level
        Coverage.
    least
        Groups of fewer patients are left out with a note.

    Raises
    ------
    ParameterError
        If nobody is left, or only one group.
    """
    if not len(time):
        raise ParameterError("no patient has a known time and event")
    if groups is None:
        return GroupedSurvival(variable, {"all": kaplan_meier(time, event, level=level)}, None, 0)
    names, counts = np.unique(groups[groups != ""].astype(str), return_counts=True)
    used = [str(n) for n, c in zip(names, counts, strict=True) if c >= least]
    small = [f"{n} ({c})" for n, c in zip(names, counts, strict=True) if c < least]
    if len(used) < 2:
        raise ParameterError(f"{variable} has fewer than two groups of at least {least} patients with a known endpoint")
    inside = np.isin(groups, used)
    notes = (f"{variable}: left out for fewer than {least} patients: {', '.join(small)}",) if small else ()
    return GroupedSurvival(
        variable,
        {name: kaplan_meier(time[groups == name], event[groups == name], level=level) for name in used},
        log_rank(time[inside], event[inside], groups[inside].astype(str)),
        int((groups == "").sum()),
        notes,
    )


def cox_analysis(table: ClinicalTable, parameters: StatisticsParameters, rng: np.random.Generator) -> CoxAnalysis:
    """Fit the main model and everything to judge it by.

    Parameters
    ----------
    table
        The cohort.
    parameters
        Endpoint, penalty, bootstraps, imputations.
    rng
        Source of the bootstrap and the imputations.

    Raises
    ------
    ParameterError
        If there are too few events or no covariates, or the model has no estimate.
    """
    time, event, known = table.endpoint(parameters.endpoint)
    matrix = model_matrix(table, VARIABLES, among=known)
    use = matrix.complete
    n_events = int(event[use].sum())
    if n_events < _LEAST_EVENTS:
        raise ParameterError(f"{n_events} events among {use.sum()} complete cases are too few; it needs {_LEAST_EVENTS}")
    if not matrix.names:
        raise ParameterError("no covariate varies among the complete cases")
    x, penalty, strength = matrix.values[use], parameters.penalty, parameters.penalty_strength
    fit = cox(time[use], event[use], x, matrix.names, penalty=penalty, strength=strength)
    bootstrap_rng, imputation_rng = rng.spawn(2)
    concordance = optimism_corrected_c(
        time[use], event[use], x, matrix.names, bootstrap_rng, parameters.bootstraps, penalty, strength
    )
    pooled = _pooled(table, matrix, parameters, imputation_rng) if parameters.imputations else None
    epv = events_per_variable(n_events, len(matrix.names))
    return CoxAnalysis(
        fit=fit,
        rows=fit.as_rows(parameters.level),
        proportional_hazards=proportional_hazards_test(fit, time[use], event[use], x),
        variance_inflation=variance_inflation(x, matrix.names),
        events_per_variable=epv,
        concordance=concordance,
        uno_c=uno_c(time[use], event[use], fit.linear_predictor(x)),
        n_incomplete=int((known & ~use).sum()),
        missing=matrix.missing,
        notes=(*matrix.notes, *([epv.message] if epv.message else [])),
        pooled=pooled,
    )


def _pooled(table: ClinicalTable, matrix: ModelMatrix, parameters: StatisticsParameters, rng: np.random.Generator) -> PooledCox:
    time, event, known = table.endpoint(parameters.endpoint)
    time, event = time[known], event[known]
    names: list[str] = []
    blocks: dict[str, np.ndarray] = {}
    for variable in matrix.missing:
        own, values, _ = variable_columns(table, variable)
        keep = [j for j, name in enumerate(own) if name in matrix.names]
        if keep:
            blocks[variable] = values[known][:, keep]
            names += [own[j] for j in keep]
    outcome = np.column_stack([event.astype(float), nelson_aalen(time, event)])
    copies = imputed(blocks, outcome, rng, copies=parameters.imputations)
    tables = [np.column_stack([copy[v] for v in blocks]) for copy in copies]
    return pooled_cox(time, event, tables, names, penalty=parameters.penalty, strength=parameters.penalty_strength)


def recurrence_survival(table: ClinicalTable, parameters: StatisticsParameters) -> RecurrenceSurvival:
    """Describe survival on the clock that starts at the exam of the recurrence.

    Parameters
    ----------
    table
        The cohort.
    parameters
        Level and penalty.

    Raises
    ------
    ParameterError
        If no patient was observed beyond a recurrence.
    """
    clock = after_recurrence(table)
    if not len(clock.rows):
        reasons = "; ".join(f"{reason}: {n}" for reason, n in clock.excluded.items())
        raise ParameterError(f"no patient was observed beyond a recurrence ({reasons})")
    overall = grouped_survival(clock.time_days, clock.event, None, "all", parameters.level)
    try:
        groups = table.level("pattern")[clock.rows]
        by_pattern = grouped_survival(clock.time_days, clock.event, groups, "pattern", parameters.level)
    except ParameterError:  # one pattern only, or none recorded: the overall curve stands alone
        by_pattern = None
    delay = np.log(table.endpoint("os")[0][clock.rows] - clock.time_days)  # days from diagnosis to the exam, above 0
    crude, adjusted = (
        effect(
            clock.time_days,
            clock.event,
            table.number("migration_mm")[clock.rows] / 10,
            "migration_per_10mm",
            others,
            names,
            penalty=parameters.penalty,
            strength=parameters.penalty_strength,
            level=parameters.level,
        )
        for others, names in ((np.empty((len(clock.rows), 0)), ()), (delay[:, None], ("log_recurrence_day",)))
    )
    return RecurrenceSurvival(clock, overall, by_pattern, crude, adjusted)

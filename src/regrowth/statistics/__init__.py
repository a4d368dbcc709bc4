"""How cohorts are analysed: proportions, survival, Cox models, competing risks, concordance."""

from regrowth.statistics.adjusted import predicted_survival
from regrowth.statistics.competing import CumulativeIncidence, cause_specific_event, cumulative_incidence
from regrowth.statistics.concordance import ConcordanceResult, harrell_c, optimism_corrected_c, uno_c
from regrowth.statistics.cox import Contrast, CoxFit, LikelihoodRatio, contrast, cox, likelihood_ratio
from regrowth.statistics.diagnostics import EventsPerVariable, events_per_variable, variance_inflation
from regrowth.statistics.ph_test import proportional_hazards_test, schoenfeld_residuals
from regrowth.statistics.proportion import Interval, clopper_pearson_interval, wilson_interval
from regrowth.statistics.survival import (
    KaplanMeier,
    LogRank,
    RestrictedMean,
    at_risk_table,
    check_times,
    kaplan_meier,
    log_rank,
    log_rank_many,
    log_rank_scores,
    restricted_mean,
)

__all__ = [
    "ConcordanceResult",
    "Contrast",
    "CoxFit",
    "CumulativeIncidence",
    "EventsPerVariable",
    "Interval",
    "KaplanMeier",
    "LikelihoodRatio",
    "LogRank",
    "RestrictedMean",
    "at_risk_table",
    "cause_specific_event",
    "check_times",
    "clopper_pearson_interval",
    "contrast",
    "cox",
    "cumulative_incidence",
    "events_per_variable",
    "harrell_c",
    "kaplan_meier",
    "likelihood_ratio",
    "log_rank",
    "log_rank_many",
    "log_rank_scores",
    "optimism_corrected_c",
    "predicted_survival",
    "proportional_hazards_test",
    "restricted_mean",
    "schoenfeld_residuals",
    "uno_c",
    "variance_inflation",
    "wilson_interval",
]

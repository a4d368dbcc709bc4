"""How cohorts are analysed: proportions, survival, Cox models, competing risks, concordance, cut-points, transitions."""

from regrowth.statistics.adjusted import predicted_survival
from regrowth.statistics.analysis import PARTS, CohortAnalysis, analyse
from regrowth.statistics.association import benjamini_hochberg, holm, migration_against_time, spearman
from regrowth.statistics.clinical import ClinicalTable, match_ids, read_clinical
from regrowth.statistics.clocks import after_recurrence, first_event
from regrowth.statistics.competing import CumulativeIncidence, cause_specific_event, cumulative_incidence
from regrowth.statistics.concordance import ConcordanceResult, harrell_c, optimism_corrected_c, uno_c
from regrowth.statistics.cox import Contrast, CoxFit, LikelihoodRatio, contrast, cox, likelihood_ratio
from regrowth.statistics.cutpoint import PUBLISHED_CUT, FixedCut, fixed_cut
from regrowth.statistics.describe import table_one
from regrowth.statistics.diagnostics import EventsPerVariable, events_per_variable, variance_inflation
from regrowth.statistics.dictionary import COHORT_COLUMNS, data_dictionary
from regrowth.statistics.frequency import FrequencyDifference, FrequencyMap, frequency_difference, frequency_map
from regrowth.statistics.imputation import PooledCox, imputed, pooled_cox
from regrowth.statistics.interaction import AgeInteraction, age_interaction
from regrowth.statistics.parameters import StatisticsParameters
from regrowth.statistics.ph_test import proportional_hazards_test, schoenfeld_residuals
from regrowth.statistics.proportion import Interval, clopper_pearson_interval, wilson_interval
from regrowth.statistics.search import SearchedCut, searched_cut
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
from regrowth.statistics.transitions import Transitions, agreement_against_chance, bowker, flip_sensitivity, transitions

__all__ = [
    "COHORT_COLUMNS",
    "PARTS",
    "PUBLISHED_CUT",
    "AgeInteraction",
    "ClinicalTable",
    "CohortAnalysis",
    "ConcordanceResult",
    "Contrast",
    "CoxFit",
    "CumulativeIncidence",
    "EventsPerVariable",
    "FixedCut",
    "FrequencyDifference",
    "FrequencyMap",
    "Interval",
    "KaplanMeier",
    "LikelihoodRatio",
    "LogRank",
    "PooledCox",
    "RestrictedMean",
    "SearchedCut",
    "StatisticsParameters",
    "Transitions",
    "after_recurrence",
    "age_interaction",
    "agreement_against_chance",
    "analyse",
    "at_risk_table",
    "benjamini_hochberg",
    "bowker",
    "cause_specific_event",
    "check_times",
    "clopper_pearson_interval",
    "contrast",
    "cox",
    "cumulative_incidence",
    "data_dictionary",
    "events_per_variable",
    "first_event",
    "fixed_cut",
    "flip_sensitivity",
    "frequency_difference",
    "frequency_map",
    "harrell_c",
    "holm",
    "imputed",
    "kaplan_meier",
    "likelihood_ratio",
    "log_rank",
    "log_rank_many",
    "log_rank_scores",
    "match_ids",
    "migration_against_time",
    "optimism_corrected_c",
    "pooled_cox",
    "predicted_survival",
    "proportional_hazards_test",
    "read_clinical",
    "restricted_mean",
    "schoenfeld_residuals",
    "searched_cut",
    "spearman",
    "table_one",
    "transitions",
    "uno_c",
    "variance_inflation",
    "wilson_interval",
]

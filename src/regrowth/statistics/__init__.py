"""How cohorts are analysed: proportions, survival, Cox models, competing risks, concordance."""

from regrowth.statistics.cox import Contrast, CoxFit, LikelihoodRatio, contrast, cox, likelihood_ratio
from regrowth.statistics.proportion import Interval, clopper_pearson_interval, wilson_interval
from regrowth.statistics.survival import (
    KaplanMeier,
    LogRank,
    RestrictedMean,
    check_times,
    kaplan_meier,
    log_rank,
    log_rank_many,
    log_rank_scores,
    restricted_mean,
)

__all__ = [
    "Contrast",
    "CoxFit",
    "Interval",
    "KaplanMeier",
    "LikelihoodRatio",
    "LogRank",
    "RestrictedMean",
    "check_times",
    "clopper_pearson_interval",
    "contrast",
    "cox",
    "kaplan_meier",
    "likelihood_ratio",
    "log_rank",
    "log_rank_many",
    "log_rank_scores",
    "restricted_mean",
    "wilson_interval",
]

#!/usr/bin/env python3
"""Records tests/fixtures/study/statistics.json: quantiles, intervals and tests as SciPy has them, and
Holm's correction as statsmodels has it. Needs `pip install scipy statsmodels`; the file says with
which versions it was recorded.

Usage: record_statistics.py tests/fixtures/study/statistics.json
"""

import json
import sys

import numpy
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.multitest import multipletests

SHARES = [(0, 1), (1, 1), (0, 9), (3, 9), (9, 9), (5, 10), (58, 100), (797, 1508), (1508, 1508)]
SAMPLES = [
    [1.0, 2.0],
    [0.25, -0.5, 3.0, 0.125, 8.0],
    [-2.0, -2.0, -2.0],
    [0.001 * (i * i % 101) - 0.04 for i in range(300)],
]
FAMILIES = [[0.01, 0.04, 0.03, 0.005], [0.5], [0.9, 0.2, 0.2, 1.0], [0.02] * 5]

record = {
    "versions": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__},
    "normal": [[p, stats.norm.ppf(p)] for p in (1e-9, 0.025, 0.3, 0.5, 0.975, 0.9999)],
    "student": [[p, f, stats.t.ppf(p, f)]
                for p in (0.001, 0.025, 0.4, 0.5, 0.95, 0.975)
                for f in (1, 2, 3.7, 7, 30, 1507)],
    "student_distribution": [[t, f, stats.t.cdf(t, f)]
                             for t in (-40.0, -1.5, 0.0, 0.01, 2.5, 12.0) for f in (1, 4.5, 100)],
    "wilson": [[k, n, c, *stats.binomtest(k, n).proportion_ci(c, method="wilson")]
               for k, n in SHARES for c in (0.95, 0.99)],
    "sign": [[k, n, stats.binomtest(k, n).pvalue] for k, n in SHARES + [(8, 8), (700, 1508)]],
    "means": [[sample, numpy.mean(sample), numpy.std(sample, ddof=1),
               *(stats.t.interval(0.95, len(sample) - 1, numpy.mean(sample), stats.sem(sample))
                 if numpy.std(sample) > 0 else (numpy.mean(sample),) * 2)]
              for sample in SAMPLES],
    "holm": [[family, list(multipletests(family, method="holm")[1])] for family in FAMILIES],
}
with open(sys.argv[1], "w") as file:
    json.dump(record, file, separators=(",", ":"))
    file.write("\n")

"""From runs to verdicts: factors, statistics, reports, figures."""

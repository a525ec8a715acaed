# SPDX-License-Identifier: GPL-2.0-or-later
"""Arithmetic on values of which some may be missing (None)."""
import math
import statistics


def present(values):
	return [value for value in values if value is not None]


def median(values):
	values = present(values)
	return statistics.median(values) if values else None


def least(values):
	return min(present(values), default=None)


def spread(values):
	"""How far apart they are: (max - min) / median, or None."""
	values = present(values)
	return (max(values) - min(values)) / statistics.median(values) if len(values) > 1 else None


def ratio(a, b):
	return a / b if a is not None and b else None


def geometric_mean(values):
	values = [value for value in values if value]
	return math.exp(sum(map(math.log, values)) / len(values)) if values else None

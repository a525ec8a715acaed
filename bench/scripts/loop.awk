# SPDX-License-Identifier: GPL-2.0-or-later
# Arithmetic, string building and associative arrays.
BEGIN {
	for (i = 0; i < 150000; i++) {
		x = (x * 31 + i) % 65521
		count[x % 1000] += i % 7
		text = text substr("abcdefghij", x % 10 + 1, 1)
		if (length(text) > 100)
			text = ""
	}
	for (i = 0; i < 1000; i++)
		sum += count[i] * i
	print x, sum, text
}

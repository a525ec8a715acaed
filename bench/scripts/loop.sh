#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Shell arithmetic, tests, case and parameter expansion, all inside one shell process.
i=0
sum=0
while [ "$i" -lt 80000 ]; do
	sum=$(((sum * 3 + i) % 1000003))
	case "$sum" in
	*7) sum=$((sum + 1)) ;;
	*[02468]) word=a$i ;;
	*) word=${word#a} ;;
	esac
	i=$((i + 1))
done
echo "$sum $word"

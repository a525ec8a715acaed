/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The workload program's entry: picks one by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "workloads.h"

static const struct workload {
	const char *name;
	int (*run)(long amount);
} workloads[] = {
	{ "qsort", run_qsort },
	{ "sieve", run_sieve },
	{ "fib", run_fib },
	{ "matrix-int", run_matrix_int },
	{ "matrix-double", run_matrix_double },
	{ "bytecode", run_bytecode },
	{ "crc", run_crc },
	{ "list", run_list },
	{ "getppid", run_getppid },
	{ "pipe", run_pipe },
	{ "forkexec", run_forkexec },
	{ "nothing", run_nothing },
	{ "mmap", run_mmap },
	{ "mkdata", run_mkdata },
	{ "forkwait", run_forkwait },
	{ "signal", run_signal },
	{ "files", run_files },
	{ "mksource", run_mksource },
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "timer"))
		return timer_main(argv[2]);
	for (size_t i = 0; argc == 3 && i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (!strcmp(argv[1], workloads[i].name))
			return workloads[i].run(atol(argv[2]));
	}
	fprintf(stderr, "usage: workloads NAME AMOUNT | workloads timer LIST\n");
	return 2;
}

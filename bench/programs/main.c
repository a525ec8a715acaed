/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The workload program's entry: picks one by name. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
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

static int usage(void)
{
	fprintf(stderr, "usage: workloads NAME AMOUNT | workloads beside NAME AMOUNT | workloads "
			"timer LIST\n");
	return 2;
}

static int run(char **words)
{
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (!strcmp(words[0], workloads[i].name))
			return workloads[i].run(atol(words[1]));
	}
	return usage();
}

/* Until its parent is gone, should that not end it. */
static void sleep_and_wake(pid_t parent)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	while (getppid() == parent)
		nanosleep(&pause, NULL);
	_exit(0);
}

/*
 * Address spaces change while it runs, as they do on a machine that does more than one thing. A
 * software TLB that grows only then would else stay as small as it happened to be at the start.
 */
static int run_beside(char **words)
{
	pid_t parent = getpid(), sleeper = fork();
	int status;

	if (sleeper < 0)
		return 1;
	if (!sleeper)
		sleep_and_wake(parent);
	status = run(words);
	kill(sleeper, SIGKILL);
	waitpid(sleeper, NULL, 0);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "timer"))
		return timer_main(argv[2]);
	if (argc == 3)
		return run(argv + 1);
	if (argc == 4 && !strcmp(argv[1], "beside"))
		return run_beside(argv + 2);
	return usage();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Times commands, in the guest and on the host alike. A list has lines "NAME ITERATIONS COMMAND
 * ARGUMENT..." (words divided by blanks, no quoting). There is no unmeasured first run: to warm up
 * is part of the work. Printed are
 *
 *   BENCH-START NAME
 *   BENCH NAME NANOSECONDS ITERATIONS RESULT LEAST
 *
 * with RESULT a checksum of what the command wrote, which has to be the same everywhere, or
 * "failed", and LEAST the nanoseconds of the iteration that took least. Each line is out on the
 * wire before time goes on, so the reader of the console can take the time between them with his
 * own clock.
 */
#define _GNU_SOURCE /* pipe2 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "workloads.h"

#define MAX_WORDS 32

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void say_all(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO); /* fails on a pipe, where nothing needs to drain */
}

static void exec_command(char **words, int output)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	execv(words[0], words);
	_exit(127);
}

/*
 * Runs the command once and goes on with the checksum of its output (FNV-1a). 0, or -1 when the
 * command failed.
 */
static int run_once(char **words, uint32_t *checksum)
{
	static unsigned char buffer[65536];
	int output[2], status;
	ssize_t got;
	pid_t child;

	if (pipe2(output, O_CLOEXEC))
		return -1;
	child = fork();
	if (child < 0)
		return -1;
	if (!child)
		exec_command(words, output[1]);
	close(output[1]);
	while ((got = read(output[0], buffer, sizeof(buffer))) > 0)
		for (ssize_t i = 0; i < got; i++)
			*checksum = (*checksum ^ buffer[i]) * 16777619u;
	close(output[0]);
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

static void run_line(char *line)
{
	char *words[MAX_WORDS + 1] = { NULL }, *name, *count;
	uint32_t checksum = 2166136261u;
	long iterations;
	long long start, all, least = LLONG_MAX;
	int failed = 0;

	name = strtok(line, " \t\n");
	if (!name || name[0] == '#')
		return;
	count = strtok(NULL, " \t\n");
	iterations = count ? atol(count) : 0;
	for (int i = 0; i < MAX_WORDS && (words[i] = strtok(NULL, " \t\n")); i++)
		;
	if (iterations < 1 || !words[0]) {
		printf("BENCH %s 0 0 failed\n", name);
		return;
	}
	printf("BENCH-START %s\n", name);
	say_all();
	all = now_ns();
	for (long i = 0; i < iterations && !failed; i++) {
		start = now_ns();
		failed = run_once(words, &checksum);
		start = now_ns() - start;
		least = start < least ? start : least;
	}
	all = now_ns() - all;
	if (failed)
		printf("BENCH %s %lld %ld failed\n", name, all, iterations);
	else
		printf("BENCH %s %lld %ld %08x %lld\n", name, all, iterations, checksum, least);
	say_all();
}

int timer_main(const char *list)
{
	FILE *file = fopen(list, "re");
	char line[1024];

	if (!file) {
		perror(list);
		return 1;
	}
	while (fgets(line, sizeof(line), file))
		run_line(line);
	fclose(file);
	printf("BENCH-DONE\n");
	say_all();
	return 0;
}

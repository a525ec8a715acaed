/* SPDX-License-Identifier: GPL-2.0-or-later */
/* More of what a kernel is asked for: processes that only end, signals, files that come and go. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "workloads.h"

int run_forkwait(long amount)
{
	for (long i = 0; i < amount; i++) {
		pid_t child = fork();
		int status;

		if (!child)
			_exit(0);
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			return 1;
	}
	printf("%ld\n", amount);
	return 0;
}

static volatile sig_atomic_t delivered;

static void count_signal(int signal)
{
	delivered++;
}

int run_signal(long amount)
{
	struct sigaction action = { .sa_handler = count_signal };
	pid_t self = getpid();
	long sum = 0;

	if (sigaction(SIGUSR1, &action, NULL))
		return 1;
	for (long i = 0; i < amount; i++) {
		delivered = 0;
		if (kill(self, SIGUSR1))
			return 1;
		sum += delivered;
	}
	printf("%ld\n", sum);
	return 0;
}

/* One file: made and written. 0, or -1. */
static int use_file(const char *name, const char *text, size_t length)
{
	int file = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600), failed;

	if (file < 0)
		return -1;
	failed = write(file, text, length) != (ssize_t)length;
	failed |= close(file);
	return failed ? -1 : 0;
}

int run_files(long amount)
{
	enum { AT_ONCE = 100 };
	static char text[4096], name[64];

	memset(text, 'x', sizeof(text));
	for (long i = 0; i < amount; i++) {
		for (int which = 0; which < AT_ONCE; which++) {
			snprintf(name, sizeof(name), "scratch/file-%d", which);
			if (use_file(name, text, sizeof(text))) {
				perror(name);
				return 1;
			}
		}
		for (int which = 0; which < AT_ONCE; which++) {
			snprintf(name, sizeof(name), "scratch/file-%d", which);
			if (unlink(name))
				return 1;
		}
	}
	printf("%ld\n", amount * AT_ONCE);
	return 0;
}

/*
 * C for a compiler to compile, the same always: amount functions that call and loop, switch and
 * index.
 */
int run_mksource(long amount)
{
	uint32_t random = 1;

	printf("typedef unsigned int u32;\nstruct item { u32 key, value[4]; struct item *next; "
	       "};\nstatic u32 pool[256];\n");
	for (long i = 0; i < amount; i++) {
		printf("static u32 step_%ld(struct item *item, u32 n)\n{\n\tu32 sum = %uu, i;\n\n",
		       i, next_random(&random));
		printf("\tfor (i = 0; i < (n & 15); i++) {\n\t\tsum = sum * %uu + pool[(sum ^ i) & "
		       "255];\n",
		       next_random(&random) | 1);
		printf("\t\titem->value[i & 3] += sum >> %u;\n\t}\n", next_random(&random) & 15);
		printf("\tswitch (sum & 3) {\n\tcase 0: item->key ^= sum; break;\n\tcase 1: pool[n "
		       "& 255] = sum; break;\n");
		printf("\tcase 2: if (item->next) return item->next->key + sum; break;\n\tdefault: "
		       "sum -= item->value[%u];\n\t}\n",
		       next_random(&random) & 3);
		if (i)
			printf("\tif (n > %u) return step_%ld(item, n - 1);\n",
			       next_random(&random) & 255, i - 1);
		printf("\treturn sum;\n}\n\n");
	}
	printf("u32 run(struct item *item, u32 n) { return step_%ld(item, n); }\n", amount - 1);
	return 0;
}

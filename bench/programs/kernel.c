/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a kernel is asked for: system calls, switches between processes, new processes, page faults.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "workloads.h"

int run_getppid(long amount)
{
	long parent = getppid(), sum = 0;

	for (long i = 0; i < amount; i++)
		sum += syscall(SYS_getppid) == parent;
	printf("%ld\n", sum);
	return 0;
}

int run_pipe(long amount)
{
	int there[2], back[2], status;
	unsigned char byte = 0;
	unsigned sum = 0;
	pid_t child;

	if (pipe(there) || pipe(back))
		return 1;
	child = fork();
	if (child < 0)
		return 1;
	if (!child) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1) {
			byte++;
			if (write(back[1], &byte, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	for (long i = 0; i < amount; i++) {
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			return 1;
		sum += byte;
	}
	close(there[1]);
	if (waitpid(child, &status, 0) != child || status)
		return 1;
	printf("%u\n", sum);
	return 0;
}

int run_forkexec(long amount)
{
	for (long i = 0; i < amount; i++) {
		pid_t child = fork();
		int status;

		if (!child) {
			execl("./workloads", "workloads", "nothing", "0", (char *)NULL);
			_exit(127);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			return 1;
	}
	printf("%ld\n", amount);
	return 0;
}

int run_nothing(long amount)
{
	return amount;
}

int run_mmap(long amount)
{
	const size_t size = 64 * 1024;
	unsigned sum = 0;

	for (long i = 0; i < amount; i++) {
		unsigned char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (pages == MAP_FAILED)
			return 1;
		for (size_t at = 0; at < size; at += 4096)
			sum += ++pages[at];
		if (munmap(pages, size))
			return 1;
	}
	printf("%u\n", sum);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor prompt: a few commands of QEMU's human monitor on a character device. */
#ifndef RF_MONITOR_CONTROL_PROMPT_H
#define RF_MONITOR_CONTROL_PROMPT_H

#include <stdio.h>
#include "devices/bus/chardev.h"
#include "monitor/vm/vm.h"

struct prompt;

/*
 * Attaches to chardev, which must outlive it. 0 or -ENOMEM. greet: print the prompt at once, not
 * when opened.
 */
int prompt_create(struct vm *vm, struct chardev *chardev, bool greet,
		  struct prompt **out) RF_MUST_CHECK;
void prompt_destroy(struct prompt *prompt);

/*
 * Carries one command out, and prints what it says, errors too. One that waits is refused. On the
 * vCPU's thread, without the device lock.
 */
void prompt_run_line(struct vcpu *vcpu, const char *line, FILE *out);

#endif

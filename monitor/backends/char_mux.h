/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One backend shared by a device and the monitor prompt. Ctrl-A is the escape character of the
 * input: Ctrl-A then h help, x quit, b send a break, c switch between the two, Ctrl-A the character
 * itself.
 */
#ifndef RF_MONITOR_BACKENDS_CHAR_MUX_H
#define RF_MONITOR_BACKENDS_CHAR_MUX_H

#include "char_backend.h"

struct char_mux;

enum char_mux_port { MUX_DEVICE, MUX_MONITOR, MUX_NPORTS };

/*
 * backend stays the caller's and must outlive the mux. 0 or -ENOMEM. Input goes to the device
 * first.
 */
int char_mux_create(struct vm *vm, struct char_backend *backend,
		    struct char_mux **out) RF_MUST_CHECK;
void char_mux_destroy(struct char_mux *mux);
/* What the device, or the prompt, attaches to. */
struct chardev *char_mux_port(struct char_mux *mux, enum char_mux_port port);

#endif

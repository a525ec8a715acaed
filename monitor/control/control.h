/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The room's public header: how a user steers a running VM. */
#ifndef RF_MONITOR_CONTROL_CONTROL_H
#define RF_MONITOR_CONTROL_CONTROL_H

#include "commands.h"
#include "prompt.h"

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The binary-translation engine, as the machine sees it. */
#ifndef RF_MONITOR_BT_BT_H
#define RF_MONITOR_BT_BT_H

#include "monitor/vm/vm.h"

extern const struct engine engine_bt;

#endif

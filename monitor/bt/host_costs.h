/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What page tables and signals cost on this host. */
#ifndef RF_MONITOR_BT_HOST_COSTS_H
#define RF_MONITOR_BT_HOST_COSTS_H

#include "shadowmmu/young.h"

/*
 * Measures for some hundred microseconds; the cycles that the TSC made in one are the result.
 * Costs are zero where the host refuses what would be measured. A signal is sent to the calling
 * thread: bt_signals_install() comes first.
 */
uint32_t host_costs_probe(struct host_costs *costs);

/* The policy for this host, which is measured. */
struct young_policy host_young_policy(enum young_choice choice);

#endif

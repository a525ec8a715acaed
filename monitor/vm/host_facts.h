/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host can do, as far as engines depend on it. */
#ifndef RF_MONITOR_VM_HOST_FACTS_H
#define RF_MONITOR_VM_HOST_FACTS_H

#include "shadowmmu/host_mapping.h"
#include "translator/translator.h"

/* Beside HOST_BMI2 and HOST_LZCNT. */
#define HOST_LAHF     0x2u /* LAHF and SAHF in 64-bit mode: needed */
#define HOST_FSGSBASE 0x4u /* the kernel lets programs use it; nothing here does */

struct host_facts {
	uint32_t features; /* HOST_* */
	struct host_limits limits;
};

/*
 * The feature that is called so in /proc/cpuinfo, of those above; 0: none. (LZCNT is "abm" there,
 * and may be called by its own name as well.)
 */
uint32_t host_feature_find(const char *name, size_t len);

/* What this host has. */
void host_facts_probe(struct host_facts *facts);

#endif

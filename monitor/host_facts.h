/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host can do, as far as engines depend on it. */
#ifndef RF_MONITOR_HOST_FACTS_H
#define RF_MONITOR_HOST_FACTS_H

#include "shadowmmu/host_mapping.h"

struct host_facts {
	bool fsgsbase; /* WRGSBASE may be executed: the processor has it and Linux allows it */
	bool bmi2;
	struct host_limits limits;
};

void host_facts_probe(struct host_facts *facts);

/* Why translated code cannot run on such a host and what to do (static text), or NULL: it can. */
const char *host_lacks_for_bt(const struct host_facts *facts);

#endif

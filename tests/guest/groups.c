/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of groups. */
#include "guest.h"
#include "groups.h"

const struct group groups[] = {
	/* First: after the others it has been seen to find less. */
	{ "storm", group_storm, MODES_PAGED, 0 },
	{ "sensitive", group_sensitive, MODES_ALL, 0 },
	{ "exceptions", group_exceptions, MODES_ALL, 0 },
	{ "double_faults", group_double_faults, MODES_ALL, 0 },
	{ "paging_permissions", group_paging_permissions, MODES_PAGED, 0 },
	{ "paging_dirty", group_paging_dirty, MODES_PAGED, 0 },
	{ "paging_formats", group_paging_formats, MODES_PAGED, 0 },
	{ "paging_pdpte", group_paging_pdpte, MODE_PAE | MODE_PAE_PGE, KILLS_QEMU },
	{ "paging_changes", group_paging_changes, MODES_PAGED, 0 },
	{ "paging_edges", group_paging_edges, MODES_PAGED, 0 },
	{ "bus_locks", group_bus_locks, MODE_32, LOCKS_BUS },
	{ "smc", group_smc, MODES_ALL, 0 },
	{ "table_code", group_table_code, MODES_PAGED, 0 },
	{ "segments", group_segments, MODES_ALL, 0 },
	{ "gates", group_gates, MODES_ALL, 0 },
	{ "call_gates", group_call_gates, MODES_ALL, 0 },
	{ "v86", group_v86, MODES_ALL, 0 },
	{ "iret", group_iret, MODES_ALL, 0 },
	{ "code_segments", group_code_segments, MODES_ALL, 0 },
	{ "tasks", group_tasks, MODES_ALL, 0 },
	{ "task_nmi", group_task_nmi, MODES_ALL, 0 },
	{ "debug", group_debug, MODES_ALL, 0 },
	{ "io", group_io, MODES_ALL, 0 },
	{ "interrupts", group_interrupts, MODES_ALL, 0 },
	{ "time", group_time, MODES_ALL, 0 },
	{ "fpu", group_fpu, MODES_ALL, 0 },
	{ "new_instructions", group_new_instructions, MODES_ALL, 0 },
	{ "umip", group_umip, MODES_ALL, 0 },
	{ "smep", group_smep, MODES_PAGED, 0 },
	{ "smap", group_smap, MODES_PAGED, 0 },
	{ "refused", group_refused, MODES_ALL, KILLS_QEMU },
	{ "shutdown_no_idt", group_shutdown_no_idt, MODE_OFF, SHUTS_DOWN },
	{ "shutdown_no_double_fault", group_shutdown_no_double_fault, MODE_32, SHUTS_DOWN },
	{ "shutdown_no_stack", group_shutdown_no_stack, MODE_PAE, SHUTS_DOWN },
	{ "shutdown_no_ring0_stack", group_shutdown_no_ring0_stack, MODE_32, SHUTS_DOWN },
};
const unsigned group_count = COUNT(groups);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The groups of checks, as groups.c lists them. */
#ifndef GUEST_GROUPS_H
#define GUEST_GROUPS_H

void group_bus_locks(void);
void group_call_gates(void);
void group_code_segments(void);
void group_debug(void);
void group_double_faults(void);
void group_exceptions(void);
void group_fpu(void);
void group_gates(void);
void group_interrupts(void);
void group_io(void);
void group_iret(void);
void group_new_instructions(void);
void group_paging_changes(void);
void group_paging_dirty(void);
void group_paging_edges(void);
void group_paging_formats(void);
void group_paging_pdpte(void);
void group_paging_permissions(void);
void group_refused(void);
void group_segments(void);
void group_sensitive(void);
void group_shutdown_no_double_fault(void);
void group_shutdown_no_idt(void);
void group_shutdown_no_ring0_stack(void);
void group_shutdown_no_stack(void);
void group_smap(void);
void group_smc(void);
void group_smep(void);
void group_storm(void);
void group_table_code(void);
void group_task_nmi(void);
void group_tasks(void);
void group_time(void);
void group_umip(void);
void group_v86(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What far RET (far_transfer.c) and IRET (iret.c) share: going back to a code segment at the same
 * or an outer level.
 */
#ifndef RF_MONITOR_PROCESSOR_FAR_TRANSFER_H
#define RF_MONITOR_PROCESSOR_FAR_TRANSFER_H

#include "stack_frame.h"

struct return_target {
	uint16_t cs, ss; /* ss and esp: for an outer level only */
	uint32_t eip, esp;
};

/*
 * Checks a popped CS selector: #GP or #NP (SDM vol. 2, RET and IRET). Its RPL is the level to
 * return to, not below CPL.
 */
enum x86_status return_code_check(struct vcpu *vcpu, uint16_t selector,
				  uint64_t *descriptor) RF_MUST_CHECK;
/* The last checks, then the transfer. esp: the stack pointer after what was popped. */
enum x86_status return_same_level(struct vcpu *vcpu, const struct return_target *to, uint64_t code,
				  uint32_t esp) RF_MUST_CHECK;
enum x86_status return_outer_level(struct vcpu *vcpu, const struct return_target *to,
				   uint64_t code) RF_MUST_CHECK;

#endif

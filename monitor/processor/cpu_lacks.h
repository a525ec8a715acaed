/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernels on a CPU model too old for them. Linux compares the processor with what it was built for
 * in its real-mode set-up code, which its 32-bit boot protocol leaves out (and multiboot kernels
 * may not compare at all). It then raises #UD, or #GP at a CR4 bit, where it has no handlers yet or
 * none that can print, and is gone without a word.
 *
 * So what fails in ring 0 for want of a feature is noted, and if it proves to have been the end,
 * the report names it.
 */
#ifndef RF_MONITOR_PROCESSOR_CPU_LACKS_H
#define RF_MONITOR_PROCESSOR_CPU_LACKS_H

#include "monitor/vm/vm.h"

/*
 * The code at CS:eip faults because the model lacks features (FEATURE_* bits). The first
 * time it says so on standard error.
 */
void cpu_lacks_note(struct vcpu *vcpu, uint32_t eip, feature_set features);

/*
 * The processor shuts down, or halts with interrupts disabled. If the last thing that happened to
 * it was such a fault, the VM is ended with a report, and the result is X86_DEAD; else X86_OK.
 */
enum x86_status cpu_lacks_shutdown(struct vcpu *vcpu) RF_MUST_CHECK;
enum x86_status cpu_lacks_halt(struct vcpu *vcpu) RF_MUST_CHECK;

#endif

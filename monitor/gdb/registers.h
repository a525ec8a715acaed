/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processor's registers as gdb numbers them: org.gnu.gdb.i386.core and .sse (Debugging with
 * GDB, G.5.7), and org.ringfence.system for what a system programmer asks for besides.
 */
#ifndef RF_MONITOR_GDB_REGISTERS_H
#define RF_MONITOR_GDB_REGISTERS_H

#include "monitor/vm/vm.h"
#include "x86/error.h"

#define GDB_REGISTER_MOST 16 /* bytes of one */

/* The target description, an XML document. */
extern const char gdb_target_xml[];

/* How many there are; 'g' and 'G' have them all, in order. */
unsigned gdb_register_count(void);
/* Bytes of register n. */
unsigned gdb_register_size(unsigned n);
/* As gdb wants to see it, little-endian. */
void gdb_register_get(const struct cpu *cpu, unsigned n, uint8_t value[GDB_REGISTER_MOST]);
/*
 * Sets it as a debugger does: bits that are fixed stay, and so do registers that cannot be set. On
 * the vCPU's thread. 0, or -EINVAL: the processor cannot have that value there now.
 */
int gdb_register_set(struct vcpu *vcpu, unsigned n, const uint8_t value[GDB_REGISTER_MOST]);

#endif

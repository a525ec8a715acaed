/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine of the host's KVM, as the machine sees it. */
#ifndef RF_MONITOR_KVM_KVM_H
#define RF_MONITOR_KVM_KVM_H

#include "monitor/vm/vm.h"

extern const struct engine engine_kvm;

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The address kinds of a virtual machine monitor, and small helpers all layers share.
 *
 *   gva_t   guest linear address: what segmentation yields and paging translates (32 bits).
 *   gpa_t   guest physical address: what paging yields (up to 36 bits under PAE).
 *   hva_t   host virtual address: where the monitor process sees something (hva.h).
 *
 * They are never mixed: a conversion is always a call that names both kinds. The compiler sees to
 * it for gpa_t and hva_t, which are types of their own (gpa.h, hva.h).
 */
#ifndef RF_X86_TYPES_H
#define RF_X86_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gpa.h"
#include "hva.h"

typedef uint32_t gva_t;

#define RF_MUST_CHECK  __attribute__((warn_unused_result))
#define RF_PRINTF(a, b) __attribute__((format(printf, a, b)))
#define RF_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define rf_likely(x)   __builtin_expect(!!(x), 1)
#define rf_unlikely(x) __builtin_expect(!!(x), 0)
#define rf_container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#endif

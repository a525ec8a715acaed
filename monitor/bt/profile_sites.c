/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions that leave translated code for C functions, by kind and EIP. Not sampled: each time
 * counts.
 *
 * Light: it stands before light callouts, and is compiled for general registers only
 * (x86/fpu_spill.h).
 */
#include <assert.h>
#include "profile.h"

static struct profile_site *site_find(struct profile *profile, uint32_t kind, gva_t eip)
{
	uint32_t i = (eip * 0x9e3779b1u ^ kind * 0x85ebca6bu) >> 7;

	for (;; i++) {
		struct profile_site *site = &profile->sites[i & (PROFILE_SITES - 1)];

		if (!site->count || (site->eip == eip && site->kind == kind))
			return site;
	}
}

void profile_count_site(struct profile *profile, uint32_t kind, gva_t eip)
{
	struct profile_site *site = site_find(profile, kind, eip);

	if (!site->count) {
		/* Some stay free, so that looking always ends. */
		if (profile->nsites == PROFILE_SITES - PROFILE_SITES / 8) {
			profile->lost_sites++;
			return;
		}
		profile->nsites++;
		site->eip = eip;
		site->kind = kind;
	}
	site->count++;
}

static inline int profiled(struct cpu *cpu, uint32_t argument, uint32_t third, enum callout which)
{
	struct profile *profile = bt_of(rf_container_of(cpu, struct vcpu, cpu))->profile;
	const bool interprets = which == CALLOUT_INTERPRET || which == CALLOUT_INTEGER;
	int result;

	profile_count_site(profile,
			   interprets && argument ? PROFILE_SITE_ADAPTED :
						    PROFILE_SITE_CALLOUT + which,
			   cpu->eip);
	profile->callout_now = which;
	profile->doing = PROFILE_CALLOUT;
	result = profile->callout[which](cpu, argument, third);
	profile->doing = PROFILE_DISPATCHER;
	return result;
}

#define PROFILED(which) \
	static int profiled_##which(struct cpu *cpu, uint32_t argument, uint32_t third) \
	{ \
		return profiled(cpu, argument, third, which); \
	}
PROFILED(CALLOUT_INTERPRET)
PROFILED(CALLOUT_INTEGER)
PROFILED(CALLOUT_LOAD_CR3)
PROFILED(CALLOUT_INT)
PROFILED(CALLOUT_IRET)
PROFILED(CALLOUT_SYSENTER)
PROFILED(CALLOUT_SYSEXIT)
PROFILED(CALLOUT_LOAD_SEGMENT)
PROFILED(CALLOUT_INVLPG)
PROFILED(CALLOUT_SOFT)
PROFILED(CALLOUT_FAR_JUMP)
PROFILED(CALLOUT_FAR_CALL)
PROFILED(CALLOUT_FAR_RETURN)
PROFILED(CALLOUT_STORE)
PROFILED(CALLOUT_STORE_WORD)
PROFILED(CALLOUT_STORE_BYTE)
PROFILED(CALLOUT_PUSH_WORD)
PROFILED(CALLOUT_PUSH_LONG)

void profile_take_callouts(struct profile *profile, struct translator_callbacks *callbacks)
{
	static const callout_fn ours[CALLOUT_COUNT] = {
		[CALLOUT_INTERPRET] = profiled_CALLOUT_INTERPRET,
		[CALLOUT_INTEGER] = profiled_CALLOUT_INTEGER,
		[CALLOUT_LOAD_CR3] = profiled_CALLOUT_LOAD_CR3,
		[CALLOUT_INT] = profiled_CALLOUT_INT, [CALLOUT_IRET] = profiled_CALLOUT_IRET,
		[CALLOUT_SYSENTER] = profiled_CALLOUT_SYSENTER,
		[CALLOUT_SYSEXIT] = profiled_CALLOUT_SYSEXIT,
		[CALLOUT_LOAD_SEGMENT] = profiled_CALLOUT_LOAD_SEGMENT,
		[CALLOUT_INVLPG] = profiled_CALLOUT_INVLPG, [CALLOUT_SOFT] = profiled_CALLOUT_SOFT,
		[CALLOUT_FAR_JUMP] = profiled_CALLOUT_FAR_JUMP,
		[CALLOUT_FAR_CALL] = profiled_CALLOUT_FAR_CALL,
		[CALLOUT_FAR_RETURN] = profiled_CALLOUT_FAR_RETURN,
		[CALLOUT_STORE] = profiled_CALLOUT_STORE,
		[CALLOUT_STORE_WORD] = profiled_CALLOUT_STORE_WORD,
		[CALLOUT_STORE_BYTE] = profiled_CALLOUT_STORE_BYTE,
		[CALLOUT_PUSH_WORD] = profiled_CALLOUT_PUSH_WORD,
		[CALLOUT_PUSH_LONG] = profiled_CALLOUT_PUSH_LONG,
	};

	_Static_assert(CALLOUT_COUNT == 18, "each callout has one of ours above");
	for (int which = 0; which < CALLOUT_COUNT; which++) {
		assert(callbacks->callout[which]);
		profile->callout[which] = callbacks->callout[which];
		callbacks->callout[which] = ours[which];
	}
}

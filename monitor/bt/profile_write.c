/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a profile.
 *
 *   FILE         folded stacks: "ring0;outer;inner;[what] MILLISECONDS", the most frequent first
 *   FILE.sites   kind, EIP, symbol, count, with tabs between them, the most frequent first
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "guest_symbols.h"
#include "profile.h"

static const char *const site_names[PROFILE_SITE_KINDS - CALLOUT_COUNT] = {
	[PROFILE_SITE_ADAPTED - CALLOUT_COUNT] = "callout-interpret-adapted",
	[PROFILE_SITE_INTERPRETED - CALLOUT_COUNT] = "dispatcher-interpret",
	[PROFILE_SITE_FILLED - CALLOUT_COUNT] = "fault-filled",
	[PROFILE_SITE_TRUE_FAULT - CALLOUT_COUNT] = "fault-true",
	[PROFILE_SITE_EMULATED - CALLOUT_COUNT] = "fault-emulated",
	[PROFILE_SITE_RETRANSLATED - CALLOUT_COUNT] = "fault-retranslated",
	[PROFILE_SITE_AGAIN - CALLOUT_COUNT] = "fault-again",
	[PROFILE_SITE_TRAP - CALLOUT_COUNT] = "trap",
};

static int more_first(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static int stacks_compare(const void *a, const void *b)
{
	return more_first((*(const struct profile_stack *const *)a)->count,
			  (*(const struct profile_stack *const *)b)->count);
}

static int sites_compare(const void *a, const void *b)
{
	return more_first(((const struct profile_site *)a)->count,
			  ((const struct profile_site *)b)->count);
}

/* --- stacks --- */

static void write_frame(const struct bt *bt, FILE *out, gva_t eip)
{
	gva_t start;
	const char *name = guest_symbols_find(bt->symbols, eip, &start);

	if (name && start == eip)
		fprintf(out, ";%s", name);
	else
		fprintf(out, ";0x%08x", eip);
}

static void write_stack(const struct bt *bt, FILE *out, const struct profile_stack *stack)
{
	static const char *const doing[PROFILE_DOINGS] = {
		[PROFILE_DISPATCHER] = "dispatcher", [PROFILE_CALLOUT] = "callout",
		[PROFILE_FAULT] = "host fault", [PROFILE_INTERPRET] = "interpret",
		[PROFILE_STUB] = "stub", [PROFILE_TRANSLATE] = "translate",
	};

	fprintf(out, "ring%u", stack->ring);
	for (unsigned i = stack->depth; i-- > 0;)
		write_frame(bt, out, stack->eip[i]);
	if (doing[stack->doing])
		fprintf(out, ";[%s%s%s]", doing[stack->doing], stack->detail ? " " : "",
			stack->detail ? stack->detail : "");
	fprintf(out, " %llu\n", (unsigned long long)(stack->count * 1000 / PROFILE_HZ));
}

static void write_stacks(const struct bt *bt)
{
	struct profile *profile = bt->profile;
	const struct profile_stack **sorted = calloc(profile->nstacks + 1, sizeof(*sorted));
	uint32_t n = 0;

	for (uint32_t i = 0; sorted && i < PROFILE_STACKS; i++) {
		if (profile->stacks[i].count)
			sorted[n++] = &profile->stacks[i];
	}
	if (sorted)
		qsort(sorted, n, sizeof(*sorted), stacks_compare);
	for (uint32_t i = 0; i < n; i++)
		write_stack(bt, profile->file, sorted[i]);
	if (profile->lost_samples)
		fprintf(profile->file, "[no room] %llu\n",
			(unsigned long long)(profile->lost_samples * 1000 / PROFILE_HZ));
	free(sorted);
}

/* --- sites --- */

static void write_site(const struct bt *bt, FILE *out, const struct profile_site *site)
{
	gva_t start;
	const char *name = guest_symbols_find(bt->symbols, site->eip, &start);
	char kind[48];

	if (site->kind < CALLOUT_COUNT)
		snprintf(kind, sizeof(kind), "callout-%s", translator_callout_name(site->kind));
	else
		snprintf(kind, sizeof(kind), "%s", site_names[site->kind - CALLOUT_COUNT]);
	fprintf(out, "%s\t0x%08x\t", kind, site->eip);
	if (name)
		fprintf(out, "%s+0x%x", name, site->eip - start);
	else
		fputc('-', out);
	fprintf(out, "\t%llu\n", (unsigned long long)site->count);
}

static void write_sites(const struct bt *bt)
{
	struct profile *profile = bt->profile;

	/* The table's order is not needed any more. */
	qsort(profile->sites, PROFILE_SITES, sizeof(*profile->sites), sites_compare);
	for (uint32_t i = 0; i < PROFILE_SITES && profile->sites[i].count; i++)
		write_site(bt, profile->sites_file, &profile->sites[i]);
	if (profile->lost_sites)
		fprintf(profile->sites_file, "no-room\t-\t-\t%llu\n",
			(unsigned long long)profile->lost_sites);
}

/* Whether all of it is written. */
static bool finish(FILE *file, const char *path)
{
	const bool failed = ferror(file);

	if (!fflush(file) && !failed)
		return true;
	fprintf(stderr, "ringfence: cannot write the profile '%s': %s\n", path,
		error_reason(errno ? errno : EIO));
	return false;
}

void profile_write(struct bt *bt)
{
	errno = 0;
	write_stacks(bt);
	if (!finish(bt->profile->file, bt->profile->path))
		bt->vcpu->vm->output_lost = true;
	errno = 0;
	write_sites(bt);
	if (!finish(bt->profile->sites_file, bt->profile->sites_path))
		bt->vcpu->vm->output_lost = true;
}

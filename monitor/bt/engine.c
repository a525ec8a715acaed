/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The binary-translation engine: life cycle, flush hooks, statistics. */
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"
#include "options.h"
#include "host_costs.h"
#include "monitor/vm/vm.h"
#include "monitor/interp/interp.h"
#include "profile.h"
#include "monitor/processor/processor.h"
#include "translator/disasm.h"
#include "x86/fpu_spill.h"

/* --- what the translator and the shadow tables ask --- */

static bool bt_fetch(void *opaque, gva_t gva, gpa_t *gpa, bool *global)
{
	struct bt *bt = opaque;
	struct shadow_fill_info info;

	if (!shadow_fetch(bt->shadow, gva, ACCESS_EXEC | access_at_cpl(bt->vcpu->cpu.cpl),
			  &info, global))
		return false;
	*gpa = info.gpa;
	return true;
}

static const uint8_t *bt_page(void *opaque, gpa_t gpa)
{
	struct bt *bt = opaque;

	return guest_ram_ptr(&bt->vcpu->vm->ram, gpa_page(gpa));
}

static void bt_protect(void *opaque, gpa_t gpa)
{
	shadow_protect_code(((struct bt *)opaque)->shadow, gpa);
}

static void bt_unprotect(void *opaque, gpa_t gpa)
{
	shadow_unprotect_code(((struct bt *)opaque)->shadow, gpa);
}

static void bt_code_mapping_changed(void *opaque, struct space *space, gva_t gva)
{
	struct bt *bt = opaque;

	bt->changed = bt->returns_stale = true;
	if (!space || space->engine_data)
		translator_mapping_changed(bt->translator, space ? space->engine_data : NULL, gva);
}

static void bt_space_destroyed(void *opaque, struct space *space)
{
	struct bt *bt = opaque;

	bt->changed = bt->returns_stale = true;
	if (bt->young_running == &space->young)
		bt->young_running = NULL;
	if (space->engine_data)
		tc_space_destroy(bt->translator, space->engine_data);
	space->engine_data = NULL;
}

/* struct guest_ram.written: C code stored to a traced page. */
static void bt_written(void *opaque, gpa_t gpa, uint32_t len)
{
	struct vcpu *vcpu = opaque;
	struct bt *bt = bt_of(vcpu);
	const uint8_t flags = guest_ram_flags(&vcpu->vm->ram, gpa);

	bt->traced_writes++;
	if (!(flags & RAM_PAGE_TABLE) && !translator_may_hold_code(bt->translator, gpa, len))
		return;
	fpu_spill(&vcpu->cpu);
	if (flags & RAM_PAGE_CODE && translator_invalidate(bt->translator, gpa, len))
		bt->changed = bt->returns_stale = true;
	if (flags & RAM_PAGE_TABLE)
		shadow_table_written(bt->shadow, gpa, len);
}

/* struct guest_ram.flagged */
static void bt_flagged(void *opaque, gpa_t gpa)
{
	soft_tlb_hide_frame(opaque, gpa);
}

/* --- life cycle --- */

/* Set by a debug build: each TU is verified unless verify=off says otherwise. */
#ifndef RF_VERIFY
#define RF_VERIFY false
#endif

static void bt_destroy(struct vcpu *vcpu)
{
	struct bt *bt = bt_of(vcpu);

	if (!bt)
		return;
	profile_destroy(bt);
	if (bt->translator && bt->shadow)
		translator_flush(bt->translator);
	if (bt->shadow)
		shadow_destroy(bt->shadow);
	if (bt->translator)
		translator_destroy(bt->translator);
	if (bt->hm)
		bt->hm->ops->destroy(bt->hm);
	if (bt->disasm)
		disasm_destroy(bt->disasm);
	vcpu->vm->ram.written = NULL;
	vcpu->vm->ram.flagged = NULL;
	interp_destroy(vcpu);
	bt_limits_destroy(bt);
	free(bt->signal_stack);
	free(bt);
	vcpu->engine_data = NULL;
}

static int bt_build(struct bt *bt, const struct bt_options *options, const struct host_facts *host,
		    struct error *error)
{
	struct vcpu *vcpu = bt->vcpu;
	const struct shadow_callbacks shadow_cb = {
		.opaque = bt, .code_mapping_changed = bt_code_mapping_changed,
		.space_destroyed = bt_space_destroyed,
	};
	struct translator_callbacks cb = {
		.opaque = bt, .fetch = bt_fetch, .page = bt_page, .protect = bt_protect,
		.unprotect = bt_unprotect, .stops = bt_stops,
		.callout = {
			[CALLOUT_INTERPRET] = bt_callout_interpret,
			[CALLOUT_INTEGER] = bt_callout_interpret,
			[CALLOUT_LOAD_CR3] = bt_callout_load_cr3, [CALLOUT_INT] = bt_light_int,
			[CALLOUT_IRET] = bt_light_iret, [CALLOUT_SYSENTER] = bt_light_sysenter,
			[CALLOUT_SYSEXIT] = bt_light_sysexit,
			[CALLOUT_LOAD_SEGMENT] = bt_light_load_segment,
			[CALLOUT_SOFT] = bt_light_soft, [CALLOUT_INVLPG] = bt_light_invlpg,
			[CALLOUT_FAR_JUMP] = bt_light_far_jump,
			[CALLOUT_FAR_CALL] = bt_light_far_call,
			[CALLOUT_FAR_RETURN] = bt_light_far_return,
			[CALLOUT_STORE] = bt_light_store,
			[CALLOUT_STORE_WORD] = bt_light_store_word,
			[CALLOUT_STORE_BYTE] = bt_light_store_byte,
			[CALLOUT_PUSH_WORD] = bt_light_push_word,
			[CALLOUT_PUSH_LONG] = bt_light_push_long,
		},
		.log_tu = bt_log_tu,
	};
	int err = interp_create(vcpu);

	if (err)
		return err;
	vcpu->vm->ram.written = bt_written;
	vcpu->vm->ram.written_opaque = vcpu;
	vcpu->vm->ram.flagged = bt_flagged;
	vcpu->vm->ram.flagged_opaque = vcpu;
	err = profile_create(bt, &options->profile, &cb, error);
	if (!err)
		err = host_mapping_process_create(&vcpu->vm->ram, &host->limits, &bt->hm, error);
	if (!err)
		err = shadow_create(&vcpu->vm->ram, bt->hm, &options->shadow, &shadow_cb,
				    &bt->shadow);
	if (!err)
		err = bt_limits_create(bt);
	if (!err)
		err = translator_create(&cb, &options->translator, &bt->translator);
	if (!err)
		profile_translator_made(bt);
	return err;
}

_Static_assert(TRANSLATOR_REACH_BELOW <= HOST_WINDOW_GUARD_BELOW,
	       "guest accesses keep to the window or its guards");
_Static_assert(TRANSLATOR_REACH_ABOVE <= HOST_WINDOW_SIZE + HOST_WINDOW_GUARD_ABOVE,
	       "guest accesses keep to the window or its guards");

static int bt_create_with(struct vcpu *vcpu, struct bt_options *options, struct error *error)
{
	struct host_facts host;
	struct bt *bt;
	int err;

	if (vcpu->vm->host)
		host = *vcpu->vm->host;
	else
		host_facts_probe(&host);
	host.features &= ~options->host_without;
	options->translator.host = host.features & (HOST_BMI2 | HOST_LZCNT);
	err = bt_host_check(&host, error);
	if (err)
		return err;
	bt = calloc(1, sizeof(*bt));
	if (!bt)
		return -ENOMEM;
	bt->vcpu = vcpu;
	bt->no_soft = options->no_soft;
	err = bt_signals_install();
	if (!err) /* which takes the time of a signal */
		bt->young = host_young_policy(options->young);
	vcpu->engine_data = bt;
	bt_set_ac_tables(vcpu);
	options->translator.soft_views = bt->young.on;
	options->shadow.dear = bt->young.dear;
	if (options->translator.verify)
		options->shadow.check_every = SHADOW_CHECK_EVERY;
	if (!err)
		err = bt_build(bt, options, &host, error);
	if (err) {
		error_default(error, err,
			      "the host refused memory for the code cache or the windows");
		bt_destroy(vcpu);
	}
	return err;
}

static int bt_create(struct vcpu *vcpu, const char *text, struct error *error)
{
	struct bt_options options = { .translator = { .features = cpu_features(&vcpu->cpu),
						      .verify = RF_VERIFY } };
	int err = bt_options_parse(&options, text, error);

	if (!err)
		err = bt_create_with(vcpu, &options, error);
	bt_options_free(&options);
	return err;
}

static void bt_set_paging(struct bt *bt, enum shadow_flush kind)
{
	struct paging paging = vcpu_paging(bt->vcpu);
	int err = 0;

	fpu_spill(&bt->vcpu->cpu);
	bt->changed = true;
	bt->space = shadow_set_paging(bt->shadow, &paging, kind, &err);
	if (bt->space)
		bt_young_chosen(bt);
	else
		vm_kill(bt->vcpu, "the host cannot hold another guest address space: %s",
			error_reason(-err));
}

static void bt_flush(struct vcpu *vcpu, enum tlb_flush kind)
{
	bt_set_paging(bt_of(vcpu),
		      kind == TLB_FLUSH_ALL ? SHADOW_FLUSH_ALL : SHADOW_FLUSH_NONGLOBAL);
}

void bt_forget_memory(struct bt *bt)
{
	bt_reset(bt->vcpu);
	bt_set_paging(bt, SHADOW_FLUSH_ALL);
}

/* Dear, and rare: firmware does it some times while it starts. */
static void bt_memory_changed(struct vcpu *vcpu)
{
	bt_forget_memory(bt_of(vcpu));
}

static void bt_display_changed(struct vcpu *vcpu, gpa_t gpa, uint32_t size, bool watched)
{
	if (watched)
		shadow_memory_watched(bt_of(vcpu)->shadow, gpa, size);
	else
		shadow_memory_hidden(bt_of(vcpu)->shadow, gpa, size);
}

static void bt_flush_page(struct vcpu *vcpu, gva_t gva)
{
	struct bt *bt = bt_of(vcpu);

	fpu_spill(&vcpu->cpu);
	bt->unsettled = shadow_invlpg_deferred(bt->shadow, gva);
	if (!bt->unsettled)
		return;
	assert(bt->space);
	/* Ring 0's accesses to user memory miss in the kernel window until bt_settle(). */
	for (int g = 0; g < 4; g++) {
		const uint64_t kernel = bt->space->window[SHADOW_KERNEL].v;

		vcpu->tcw.view_by_gib[g] = kernel;
		vcpu->tcw.ac_view_by_gib[false][g] = vcpu->tcw.ac_view_by_gib[true][g] = kernel;
	}
}

/* Before guest code runs: what changed while it did not. */
static void bt_begin(struct bt *bt)
{
	const struct cpu *cpu = &bt->vcpu->cpu;

	if (!shadow_current(bt->shadow))
		bt_set_paging(bt, SHADOW_FLUSH_ALL);
	bt_heed_debugger(bt);
	/* A step may have ended between two rounds of a string instruction. */
	bt->unfinished |= bt_is_unfinished(cpu, cpu->eip);
}

static void bt_step(struct vcpu *vcpu)
{
	struct bt *bt = bt_of(vcpu);

	if (!shadow_current(bt->shadow))
		bt_set_paging(bt, SHADOW_FLUSH_ALL);
	bt->unfinished = bt->prefill = false;
	interp_step_alone(vcpu);
}

static void bt_run(struct vcpu *vcpu)
{
	struct bt *bt = bt_of(vcpu);

	assert(vcpu_is_mine(vcpu));
	if (bt_signals_enter_thread(bt)) {
		vm_kill(vcpu, "the host refused a signal stack");
		return;
	}
	bt_begin(bt);
	if (bt->profile && profile_enter_thread(bt))
		vm_kill(vcpu, "the host refused a timer for the profile");
	else
		bt_dispatch(bt);
	bt_signals_leave_thread(bt);
}

/* --- statistics --- */

static void bt_stats(struct vcpu *vcpu, void *object)
{
	const struct bt *bt = bt_of(vcpu);
	const struct bt_stats *engine = &bt->stats;
	const struct translator_stats *translator = translator_stats(bt->translator);
	const struct shadow_stats *shadow = shadow_stats(bt->shadow);
	json_t *root = object, *part = json_object();

#define BT_STAT(name, text) json_object_set_new(part, #name, json_integer(engine->name));
#include "stats.def"
#undef BT_STAT
	json_object_set_new(root, "dispatcher", part);
	part = json_object();
#define TC_STAT(name, text) json_object_set_new(part, #name, json_integer(translator->name));
#include "translator/translator_stats.def"
#undef TC_STAT
	json_object_set_new(root, "translator", part);
	part = json_object();
#define SHADOW_STAT(name, text) json_object_set_new(part, #name, json_integer(shadow->name));
#include "shadowmmu/shadow_stats.def"
#undef SHADOW_STAT
	json_object_set_new(root, "shadow", part);
}

static void bt_describe(char *text, size_t size)
{
	struct host_facts host;

	host_facts_probe(&host);
	bt_describe_host(&host, text, size);
}

const struct engine engine_bt = {
	.name = "bt",
	.create = bt_create,
	.destroy = bt_destroy,
	.run = bt_run,
	.step = bt_step,
	.reset = bt_reset,
	.memory_changed = bt_memory_changed,
	.display_changed = bt_display_changed,
	.flush_page = bt_flush_page,
	.page_fault = bt_light_page_fault,
	.flush = bt_flush,
	.kick = bt_kick,
	.stats = bt_stats,
	.describe = bt_describe,
	.list_options = bt_options_list,
};

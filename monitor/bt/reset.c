/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reset of the machine: what runs next may be another guest. Whatever was made for the last one,
 * or learnt from it, is dropped and its memory given back, so that a machine that resets itself for
 * ever needs no more than one that was just started.
 */
#include <assert.h>
#include <malloc.h>
#include <string.h>
#include "internal.h"

void bt_reset(struct vcpu *vcpu)
{
	struct bt *bt = bt_of(vcpu);

	assert(vcpu_is_mine(vcpu));
	/*
	 * First, since it lifts the traces of code; spaces then take the rest of their translations
	 * with them.
	 */
	translator_reset(bt->translator);
	shadow_reset(bt->shadow);
	bt->space = NULL;
	bt->user_returns = (struct bt_returns){ 0 };
	bt->returns_space = NULL;
	bt->returns_mode = 0;
	bt->returns_stale = true;
	bt->changed = bt->unsettled = bt->prefill = false;
	bt->user_gibs = 0;
	bt->young_running = NULL;
	memset(bt->hits, 0, sizeof(bt->hits));
	memset(bt->idle, 0, sizeof(bt->idle));
	memset(bt->soft_site, 0, sizeof(bt->soft_site));
	bt->soft_swept = bt->soft_sweeps = 0;
	malloc_trim(0);
}

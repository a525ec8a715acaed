/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -d in_asm and out_asm under the translator: each TU as it is made. A guest instruction starts its
 * line with its linear address; the host code made from it follows, indented. Both go through
 * Capstone, which had no part in translating, so a listing shows what the bytes are and not what
 * the translator meant.
 *
 * ---- TU c1a00021 physical 01a00021 mode 0000017c: 9 instructions, 22 bytes; 93 bytes of host code
 * c1a00021  55                        push ebp
 *     7f21d7e04a40  43896c35fc                mov dword ptr [r13 + r14 - 4], ebp
 *     7f21d7e04a45  458d76fc                  lea r14d, [r14 - 4]
 */
#include <stdio.h>
#include <string.h>
#include "internal.h"
#include "monitor/vm/vm.h"
#include "translator/decode.h"
#include "translator/disasm.h"

static void log_insn(struct log *log, const char *address, const uint8_t *bytes, unsigned len,
		     const char *text)
{
	char hex[2 * INSN_MAX_LEN + 1] = "";

	for (unsigned i = 0; i < len && i < INSN_MAX_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	log_write(log, "%s  %-*s  %s\n", address, 24, hex, text);
}

/*
 * Host code [offset, offset + len) of the TU whose code is at host (to read) and at entry (to run).
 */
static void log_host(struct bt *bt, const uint8_t *host, cache_pc entry, unsigned offset,
		     unsigned len)
{
	char address[32], text[128];

	for (unsigned i = 0, n; i < len; i += n) {
		const uint8_t *bytes = host + offset + i;
		const cache_pc at = entry + offset + i;

		n = disasm_format(bt->disasm, DISASM_64, bytes, len - i, at, text, sizeof(text));
		if (!n)
			n = 1;
		snprintf(address, sizeof(address), "    %012llx", (unsigned long long)at);
		log_insn(bt->vcpu->vm->log, address, bytes, n, text);
	}
}

/*
 * The bytes of the TU's guest code at offset; they may go on in a page that does not follow
 * physically.
 */
static unsigned guest_bytes(struct bt *bt, const struct tu_description *tu, const uint8_t *page,
			    unsigned offset, unsigned len, uint8_t bytes[INSN_MAX_LEN])
{
	const unsigned first = GUEST_PAGE_SIZE - gpa_offset(tu->gpa);
	const uint8_t *second = gpa_is_none(tu->gpa2) ? NULL :
						    guest_ram_ptr(&bt->vcpu->vm->ram, tu->gpa2);

	len = len < INSN_MAX_LEN ? len : INSN_MAX_LEN;
	for (unsigned i = 0; i < len; i++) {
		if (offset + i < first)
			bytes[i] = page[GUEST_PAGE_SIZE - first + offset + i];
		else if (second)
			bytes[i] = second[offset + i - first];
		else
			return i;
	}
	return len;
}

/* As "   [dual soft]": every reason that is known, whichever decided. */
static void append_forms(char *text, size_t size, uint32_t adapt)
{
	static const struct {
		uint32_t adapt;
		const char *name;
	} forms[] = { { ADAPT_INTERPRET, "interpret" },
		      { ADAPT_DUAL, "dual" },
		      { ADAPT_SOFT, "soft" },
		      { ADAPT_EXACT, "exact" } };
	const char *before = "   [";

	for (unsigned i = 0; i < RF_ARRAY_SIZE(forms); i++) {
		const size_t used = strlen(text);

		if (!(adapt & forms[i].adapt))
			continue;
		adapt &= ~forms[i].adapt;
		snprintf(text + used, size - used, "%s%s%s", before, forms[i].name,
			 adapt ? "" : "]");
		before = " ";
	}
}

static void log_guest(struct bt *bt, const struct tu_description *tu,
		      const struct tu_insn_description *insn, const uint8_t *page)
{
	uint8_t bytes[INSN_MAX_LEN];
	unsigned len = guest_bytes(bt, tu, page, insn->guest_offset, insn->guest_len, bytes);
	char address[16], text[128];

	snprintf(address, sizeof(address), "%08x", tu->eip + insn->guest_offset);
	disasm_format(bt->disasm, tu->mode & MODE_CODE16 ? DISASM_16 : DISASM_32, bytes, len,
		      tu->eip + insn->guest_offset, text, sizeof(text));
	append_forms(text, sizeof(text), insn->adapt);
	log_insn(bt->vcpu->vm->log, address, bytes, len, text);
}

void bt_log_tu(void *opaque, const struct tu *tu, const uint8_t *guest, const uint8_t *host)
{
	struct bt *bt = opaque;
	struct log *log = bt->vcpu->vm->log;
	const struct tu_description d = translator_tu_describe(tu);

	/* What is logged can change while the guest runs. */
	if (!log_on(log, LOG_IN_ASM | LOG_OUT_ASM) || (!bt->disasm && disasm_create(&bt->disasm)))
		return;
	log_write(log,
		  "---- TU %08x physical %08llx mode %08x%s: %u instructions, %u bytes; %u bytes "
		  "of host code\n",
		  d.eip, (unsigned long long)d.gpa.v, d.mode, d.global ? " global" : "", d.ninsns,
		  d.guest_len, d.host_len);
	for (unsigned i = 0; i < d.ninsns; i++) {
		const struct tu_insn_description insn = translator_tu_insn(tu, i);

		if (log_on(log, LOG_IN_ASM))
			log_guest(bt, &d, &insn, guest);
		if (log_on(log, LOG_OUT_ASM))
			log_host(bt, host, d.entry, insn.host_offset, insn.host_len);
	}
	if (log_on(log, LOG_OUT_ASM) && d.host_len > d.body_len) {
		log_write(log, "unlinked exits\n");
		log_host(bt, host, d.entry, d.body_len, d.host_len - d.body_len);
	}
}

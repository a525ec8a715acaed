/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thunks for the interpreter's x87, MMX and SSE instructions (fpu_proxy.h).
 *
 * The code buffer is a memfd mapped twice, writable here and executable there. Thunks are found by
 * the bytes of their instruction; when table or buffer fill up, all are dropped and generation
 * starts afresh.
 */
#include "fpu_proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE_SIZE     (256u << 10)
#define THUNK_MAX     128u
#define TABLE_ENTRIES 4096u /* a power of two */
#define ENCODING_MAX  10u

typedef void (*thunk_fn)(struct fxsave_image *fpu, void *mem, struct fpu_operands *operands);

struct encoding {
	uint8_t len;
	uint8_t bytes[ENCODING_MAX];
};

struct thunk {
	struct encoding encoding;
	thunk_fn fn; /* NULL: free */
};

struct fpu_proxy {
	uint8_t *writable, *executable;
	unsigned used, count;
	struct thunk table[TABLE_ENTRIES];
};

int fpu_proxy_create(struct fpu_proxy **out)
{
	struct fpu_proxy *proxy = calloc(1, sizeof(*proxy));
	int err = 0, fd = memfd_create("fpu-thunks", MFD_CLOEXEC);

	if (!proxy || fd < 0 || ftruncate(fd, CODE_SIZE)) {
		err = proxy ? -errno : -ENOMEM;
		goto fail;
	}
	proxy->writable = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	proxy->executable = mmap(NULL, CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (proxy->writable == MAP_FAILED || proxy->executable == MAP_FAILED) {
		err = -errno;
		goto fail;
	}
	close(fd);
	*out = proxy;
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	fpu_proxy_destroy(proxy);
	return err;
}

void fpu_proxy_destroy(struct fpu_proxy *proxy)
{
	if (!proxy)
		return;
	if (proxy->writable && proxy->writable != MAP_FAILED)
		munmap(proxy->writable, CODE_SIZE);
	if (proxy->executable && proxy->executable != MAP_FAILED)
		munmap(proxy->executable, CODE_SIZE);
	free(proxy);
}

/* --- Re-encoding: memory becomes [rsi], the general register ECX, unneeded prefixes go --- */

static void put(struct encoding *e, uint8_t byte)
{
	e->bytes[e->len++] = byte;
}

static struct encoding encode(const struct insn *insn, enum fpu_gpr gpr)
{
	struct encoding e = { 0 };
	uint8_t modrm = insn->modrm;

	if (insn->mem)
		modrm = (modrm & 0x38) | X86_ESI;
	if (gpr == FPU_GPR_REG)
		modrm = (modrm & 0xc7) | X86_ECX << 3;
	else if (gpr == FPU_GPR_RM && !insn->mem)
		modrm = (modrm & 0xf8) | X86_ECX;
	if (insn->sse_prefix)
		put(&e, insn->sse_prefix);
	if (insn->map != MAP_1BYTE)
		put(&e, 0x0f);
	if (insn->map == MAP_0F38 || insn->map == MAP_0F3A)
		put(&e, insn->map == MAP_0F38 ? 0x38 : 0x3a);
	put(&e, insn->opcode);
	if (insn->has_modrm)
		put(&e, modrm);
	if (insn->imm_size)
		put(&e, insn->imm);
	return e;
}

/* --- Generation --- */

/* rdi: image, rsi: memory operand, rdx: operands. */
static const uint8_t prologue[] = {
	0x49, 0x89, 0xd0,             /* mov r8, rdx */
	0x41, 0x0f, 0xae, 0x58, 0x10, /* stmxcsr [r8+16] */
	0x0f, 0xae, 0x0f,             /* fxrstor [rdi] */
	0x41, 0x8b, 0x40, 0x0c,       /* mov eax, [r8+12] */
	0x04, 0x7f,                   /* add al, 0x7f: OF */
	0x9e,                         /* sahf */
	0x41, 0x8b, 0x00,             /* mov eax, [r8] */
	0x41, 0x8b, 0x48, 0x04,       /* mov ecx, [r8+4] */
	0x41, 0x8b, 0x50, 0x08,       /* mov edx, [r8+8] */
};

static const uint8_t epilogue[] = {
	0x41, 0x89, 0x00,             /* mov [r8], eax */
	0x41, 0x89, 0x48, 0x04,       /* mov [r8+4], ecx */
	0x9f,                         /* lahf */
	0x0f, 0x90, 0xc0,             /* seto al */
	0x66, 0x41, 0x89, 0x40, 0x0c, /* mov [r8+12], ax */
	0x0f, 0xae, 0x07,             /* fxsave [rdi] */
	0xdb, 0xe3,                   /* fninit */
	0x41, 0x0f, 0xae, 0x50, 0x10, /* ldmxcsr [r8+16] */
	0xc3,                         /* ret */
};

static thunk_fn generate(struct fpu_proxy *proxy, const struct encoding *e)
{
	uint8_t *code = proxy->writable + proxy->used;
	thunk_fn fn = (thunk_fn)(uintptr_t)(proxy->executable + proxy->used);

	memcpy(code, prologue, sizeof(prologue));
	code += sizeof(prologue);
	memcpy(code, e->bytes, e->len);
	code += e->len;
	memcpy(code, epilogue, sizeof(epilogue));
	proxy->used += (sizeof(prologue) + e->len + sizeof(epilogue) + 15) & ~15u;
	return fn;
}

static unsigned hash(const struct encoding *e)
{
	uint32_t h = 2166136261u;

	for (unsigned n = 0; n < e->len; n++)
		h = (h ^ e->bytes[n]) * 16777619u;
	return h ^ h >> 15;
}

static thunk_fn find(struct fpu_proxy *proxy, const struct encoding *e)
{
	unsigned slot = hash(e) & (TABLE_ENTRIES - 1);

	for (; proxy->table[slot].fn; slot = (slot + 1) & (TABLE_ENTRIES - 1))
		if (!memcmp(&proxy->table[slot].encoding, e, sizeof(*e)))
			return proxy->table[slot].fn;
	if (proxy->used + THUNK_MAX > CODE_SIZE || proxy->count >= TABLE_ENTRIES / 2) {
		memset(proxy->table, 0, sizeof(proxy->table));
		proxy->used = proxy->count = 0;
		slot = hash(e) & (TABLE_ENTRIES - 1);
	}
	proxy->table[slot] = (struct thunk){ .encoding = *e, .fn = generate(proxy, e) };
	proxy->count++;
	return proxy->table[slot].fn;
}

void fpu_proxy_run(struct fpu_proxy *proxy, const struct insn *insn, enum fpu_gpr gpr,
		   struct fxsave_image *fpu, struct fpu_operands *operands)
{
	struct encoding e = encode(insn, gpr);
	/* The host's pointers would name the thunk; some processors do not store them at all. */
	uint16_t fop = fpu->fop, fcs = fpu->fcs, fds = fpu->fds;
	uint32_t fip = fpu->fip, fdp = fpu->fdp;

	fpu->mxcsr &= 0xffff;
	find(proxy, &e)(fpu, operands->mem, operands);
	fpu->fop = fop;
	fpu->fcs = fcs;
	fpu->fds = fds;
	fpu->fip = fip;
	fpu->fdp = fdp;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the interpreter's files share: the decode cache, the handler type, operand access and flags.
 *
 * A handler executes one decoded instruction. When it is called, cpu->eip already names the next
 * instruction; a near transfer overwrites it. A handler changes registers only after everything
 * that can fault has succeeded, so that on X86_FAULT the step only has to put eip back. Handlers of
 * far transfers and interrupts (OPA_FAR, OPA_INT) put it back themselves before they call
 * processor/processor.h, since a task switch that faults does so in its new context.
 *
 * Arithmetic is done by the host's own instructions and its flags are captured, so that flags the
 * SDM leaves undefined come out as they do in translated code.
 */
#ifndef RF_MONITOR_INTERP_INTERNAL_H
#define RF_MONITOR_INTERP_INTERNAL_H

#include <assert.h>
#include <string.h>
#include "interp.h"
#include "monitor/processor/processor.h"
#include "translator/opcode_map.h"
#include "monitor/vm/vm.h"

typedef enum x86_status (*insn_handler)(struct vcpu *vcpu, const struct insn *i);

/* What HLT returns, beside the values of enum x86_status. */
#define STATUS_HALT ((enum x86_status)16)

#define INTERP_CACHE_ENTRIES 2048 /* a power of two */

/*
 * One decoded instruction that lies within a page; valid while its bytes in guest RAM equal raw
 * under the mask of its length.
 */
struct icache_entry {
	uint64_t raw[2], mask[2];
	insn_handler handler;
	gpa_t gpa;   /* GPA_NONE: empty */
	bool code32;
	struct insn insn;
};

/* A run of decoded instructions within a page (run.c). */
#define BLOCK_INSNS   12
#define BLOCK_BYTES   64 /* a multiple of 8 */
#define INTERP_BLOCKS 8192 /* a power of two */

struct interp_op {
	insn_handler handler;
	struct insn insn;
};

struct block {
	gpa_t gpa; /* GPA_NONE: empty */
	bool code32;
	uint8_t count, len; /* instructions and bytes */
	uint64_t raw[BLOCK_BYTES / 8]; /* the bytes, padded with zeros */
	struct interp_op op[BLOCK_INSNS];
};

struct fpu_proxy;

#define INTERP_NO_FRAME UINT64_MAX

struct interp {
	/* the last instruction that crossed a page or came from MMIO */
	struct icache_entry crossing;
	uint32_t dr6_pending;         /* data and I/O breakpoints hit by the current instruction */
	/*
	 * Guest physical page number of the block being run: stores to it take the slow way, which
	 * sets code_stored, and the block is then left, since it may have modified itself. Slow
	 * stores set it always. INTERP_NO_FRAME: none has been run.
	 */
	uint64_t code_page;
	bool code_stored;
	struct fpu_proxy *proxy;
	struct block *blocks;         /* INTERP_BLOCKS of them */
	struct icache_entry cache[INTERP_CACHE_ENTRIES];
};

static inline struct interp *vcpu_interp(struct vcpu *vcpu)
{
	return vcpu->interp;
}

/* run.c */
int interp_blocks_create(struct interp *interp) RF_MUST_CHECK;
void interp_blocks_destroy(struct interp *interp);

/*
 * interp.c. The handler of what insn_decode() returned: #UD for what does not exist on this model.
 */
insn_handler interp_choose_handler(struct vcpu *vcpu, const struct insn *insn,
				   enum decode_result result);
/*
 * What a handler's status means for the step of instruction i that began at eip. i may be NULL if
 * it was not even fetched.
 */
enum interp_result interp_conclude(struct vcpu *vcpu, const struct insn *i, uint32_t eip,
				   enum x86_status status);

/*
 * dispatch.c: the handler for an instruction this CPU model has. Never NULL: what does not
 * exist raises #UD.
 */
insn_handler interp_find_handler(const struct insn *i);
enum x86_status op_undefined(struct vcpu *vcpu, const struct insn *i);
/* The same for an instruction that the CPU model alone lacks. */
enum x86_status op_lacking(struct vcpu *vcpu, const struct insn *i);

/*
 * Handlers and pickers, by family. A picker chooses among specialised handlers when an instruction
 * is decoded.
 */
insn_handler pick_alu(const struct insn *i);        /* alu.c */
insn_handler pick_unary(const struct insn *i);
insn_handler pick_incdec(const struct insn *i);
insn_handler pick_shift(const struct insn *i);      /* bits.c */
insn_handler pick_mov(const struct insn *i);        /* move.c */
insn_handler pick_jcc(const struct insn *i);        /* control.c */
insn_handler pick_stack(const struct insn *i);      /* stack.c */
insn_handler pick_string(const struct insn *i);     /* string.c */
insn_handler pick_group_ff(const struct insn *i);
insn_handler pick_group_0f00(const struct insn *i);
insn_handler pick_group_0f01(const struct insn *i);
insn_handler pick_group_0fc7(const struct insn *i);
insn_handler pick_group_0fae(const struct insn *i);
insn_handler pick_fpu(const struct insn *i);        /* fpu.c */
/* fpu_env.c: FLDENV, FSTENV, FSAVE, FRSTOR; else NULL */
insn_handler pick_fpu_env(const struct insn *i);
insn_handler pick_sse(const struct insn *i);

#define DECLARE_HANDLER(name) enum x86_status name(struct vcpu *vcpu, const struct insn *i)
DECLARE_HANDLER(op_imul3);
DECLARE_HANDLER(op_imul2);
DECLARE_HANDLER(op_cmpxchg);
DECLARE_HANDLER(op_xadd);
DECLARE_HANDLER(op_cmpxchg8b);
DECLARE_HANDLER(op_daa);
DECLARE_HANDLER(op_das);
DECLARE_HANDLER(op_aaa);
DECLARE_HANDLER(op_aas);
DECLARE_HANDLER(op_aam); DECLARE_HANDLER(op_aad);
DECLARE_HANDLER(op_bt);
DECLARE_HANDLER(op_shld_shrd);
DECLARE_HANDLER(op_bsf);
DECLARE_HANDLER(op_bsr);
DECLARE_HANDLER(op_bswap);
DECLARE_HANDLER(op_popcnt);
DECLARE_HANDLER(op_crc32);
DECLARE_HANDLER(op_movbe);
DECLARE_HANDLER(op_xchg_rm);
DECLARE_HANDLER(op_xchg_acc);
DECLARE_HANDLER(op_lea);
DECLARE_HANDLER(op_movx);
DECLARE_HANDLER(op_cmov);
DECLARE_HANDLER(op_setcc);
DECLARE_HANDLER(op_cbw);
DECLARE_HANDLER(op_cwd);
DECLARE_HANDLER(op_xlat);
DECLARE_HANDLER(op_salc);
DECLARE_HANDLER(op_lahf);
DECLARE_HANDLER(op_sahf);
DECLARE_HANDLER(op_flag);
DECLARE_HANDLER(op_movnti); DECLARE_HANDLER(op_nop); DECLARE_HANDLER(op_clflush);
DECLARE_HANDLER(op_jmp_rel);
DECLARE_HANDLER(op_call_rel);
DECLARE_HANDLER(op_ret);
DECLARE_HANDLER(op_loop);
DECLARE_HANDLER(op_far_direct);
DECLARE_HANDLER(op_retf);
DECLARE_HANDLER(op_iret);
DECLARE_HANDLER(op_int);
DECLARE_HANDLER(op_into);
DECLARE_HANDLER(op_bound); DECLARE_HANDLER(op_sysenter); DECLARE_HANDLER(op_sysexit);
DECLARE_HANDLER(op_mov_from_seg);
DECLARE_HANDLER(op_mov_to_seg);
DECLARE_HANDLER(op_load_far);
DECLARE_HANDLER(op_arpl);
DECLARE_HANDLER(op_lar_lsl);
DECLARE_HANDLER(op_clts);
DECLARE_HANDLER(op_cache_flush);
DECLARE_HANDLER(op_mov_cr);
DECLARE_HANDLER(op_mov_dr);
DECLARE_HANDLER(op_msr);
DECLARE_HANDLER(op_rdtsc);
DECLARE_HANDLER(op_rdpid);
DECLARE_HANDLER(op_rdpmc);
DECLARE_HANDLER(op_cpuid);
DECLARE_HANDLER(op_hlt);
DECLARE_HANDLER(op_cli_sti);
DECLARE_HANDLER(op_in);
DECLARE_HANDLER(op_out);
DECLARE_HANDLER(op_wait);
#undef DECLARE_HANDLER

/* fpu.c. An unmasked x87 exception is pending (SDM vol. 1, 8.6). */
bool fpu_exception_pending(const struct fxsave_image *fpu);
/*
 * A waiting instruction begins: reports the exception that is pending, if any. X86_OK: execute.
 * *hidden are the exception flags that IGNNE# has it ignore; they are out of the image, so that the
 * host does not object, until fpu_wait_end() puts them back.
 */
enum x86_status fpu_wait_begin(struct vcpu *vcpu, const struct insn *i,
			       uint16_t *hidden) RF_MUST_CHECK;
void fpu_wait_end(struct cpu *cpu, uint16_t hidden);
/* The error may be gone: then IGNNE# goes too. */
void fpu_release_ignne(struct cpu *cpu);
/* Sets the summary bits ES and B from the exception flags and masks. */
void fpu_update_summary(struct fxsave_image *fpu);
void fpu_init(struct fxsave_image *fpu); /* what FNINIT does */

/*
 * mem.c: the full segment rules (SDM vol. 3, 5.3 to 5.6), #AC and data breakpoints; the slow
 * part of seg_linear().
 */
enum x86_status interp_segment_check(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset,
				     unsigned size, enum access access, gva_t *gva) RF_MUST_CHECK;
enum x86_status interp_read_slow(struct vcpu *vcpu, gva_t gva, void *buf,
				 unsigned size) RF_MUST_CHECK;
enum x86_status interp_write_slow(struct vcpu *vcpu, gva_t gva, const void *buf,
				  unsigned size) RF_MUST_CHECK;
/* Up to 4096 bytes, checked as a whole before a byte is stored. */
enum x86_status interp_read_block(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset, void *buf,
				  unsigned size) RF_MUST_CHECK;
/*
 * A far pointer: offset of opsize bytes and selector are two operands, as processors see it (#AC,
 * limits).
 */
enum x86_status interp_read_pointer(struct vcpu *vcpu, enum x86_seg seg, uint32_t ea,
				    unsigned opsize, uint32_t *offset,
				    uint16_t *selector) RF_MUST_CHECK;
/* That writing the block would succeed; interp_write_block() of the same then does. */
enum x86_status interp_probe_block(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset,
				   unsigned size) RF_MUST_CHECK;
enum x86_status interp_write_block(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset,
				   const void *buf, unsigned size) RF_MUST_CHECK;
/* Notes I/O breakpoints (SDM vol. 3, 17.2.4). */
void interp_watch_io(struct vcpu *vcpu, uint16_t port, unsigned size);

static inline enum x86_status raise_gp(struct vcpu *vcpu)
{
	return fault_raise_error(&vcpu->cpu, EXC_GP, 0);
}

static inline enum access cpu_access(const struct cpu *cpu)
{
	return access_explicit(cpu->cpl, cpu->eflags);
}

/* --- Flags: LAHF/SETO give them in AX as S Z 0 A 0 P 1 C, 0000000 O. --- */

static inline void flags_from_ax(struct cpu *cpu, uint32_t ax)
{
	cpu->eflags = (cpu->eflags & ~X86_ARITH_FLAGS) | (ax >> 8 & 0xd5) | (ax & 1) << 11;
}

/* For "addb $0x7f, %al; sahf", which makes the host's flags the guest's. */
static inline uint32_t flags_to_ax(const struct cpu *cpu)
{
	return (cpu->eflags & 0xd5) << 8 | (cpu->eflags >> 11 & 1);
}
#define ASM_LOAD_FLAGS "addb $0x7f, %%al; sahf; "
#define ASM_SAVE_FLAGS "; lahf; seto %%al"

static __attribute__((always_inline)) inline bool condition(uint32_t f, unsigned cc)
{
	bool result;

	switch (cc >> 1) {
	case 0: result = f & X86_OF; break;
	case 1: result = f & X86_CF; break;
	case 2: result = f & X86_ZF; break;
	case 3: result = f & (X86_CF | X86_ZF); break;
	case 4: result = f & X86_SF; break;
	case 5: result = f & X86_PF; break;
	case 6: result = (f >> 7 ^ f >> 11) & 1; break;
	default: result = f & X86_ZF || ((f >> 7 ^ f >> 11) & 1); break;
	}
	return result ^ (cc & 1);
}

/* --- Registers --- */

static inline uint8_t *reg8(struct cpu *cpu, unsigned n)
{
	return (uint8_t *)&cpu->regs[n & 3] + (n >> 2);
}

static inline uint16_t *reg16(struct cpu *cpu, unsigned n)
{
	return (uint16_t *)&cpu->regs[n];
}

static __attribute__((always_inline)) inline uint32_t reg_get(struct cpu *cpu, unsigned n,
							      unsigned size)
{
	return size == 1 ? *reg8(cpu, n) : size == 2 ? *reg16(cpu, n) : cpu->regs[n];
}

static __attribute__((always_inline)) inline void reg_set(struct cpu *cpu, unsigned n,
							  uint32_t value, unsigned size)
{
	if (size == 4)
		cpu->regs[n] = value;
	else if (size == 2)
		*reg16(cpu, n) = value;
	else
		*reg8(cpu, n) = value;
}

static inline unsigned insn_size(const struct insn *i)
{
	return i->attr & OPA_BYTE ? 1 : i->op_size;
}

/* 0, 1, 2 for byte, word, dword: the index of handler tables. */
static inline unsigned size_index(const struct insn *i)
{
	return insn_size(i) >> 1;
}

/* --- Memory --- */

static inline uint32_t insn_ea(const struct cpu *cpu, const struct insn *i)
{
	uint32_t ea = i->disp;

	if (i->base != INSN_NO_REG)
		ea += cpu->regs[i->base];
	if (i->index != INSN_NO_REG)
		ea += cpu->regs[i->index] << i->scale;
	return i->addr_size == 4 ? ea : ea & 0xffff;
}

/* Present data that grows upwards and may be written: what most accesses go to. */
static inline bool segment_is_plain(const struct segment *s)
{
	const uint16_t kind = SEG_P | SEG_S | SEG_CODE | SEG_EXPAND_DOWN | SEG_WRITABLE;

	return (s->attr & kind) == (SEG_P | SEG_S | SEG_WRITABLE);
}

/* Whether an access has to be looked at for #AC, or for data breakpoints. */
static inline bool accesses_are_watched(const struct cpu *cpu)
{
	return (cpu->eflags & X86_AC) | (cpu->dr[7] & 0xff);
}

/*
 * Linear address of [seg:offset, +size) after the segment checks; access: ACCESS_READ or
 * ACCESS_WRITE.
 */
static __attribute__((always_inline)) inline enum x86_status
seg_linear(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset, unsigned size, enum access access,
	   gva_t *gva)
{
	const struct cpu *cpu = &vcpu->cpu;
	const struct segment *s = &cpu->seg[seg];

	*gva = s->base + offset;
	if (rf_likely(segment_is_plain(s) && (uint64_t)offset + size - 1 <= s->limit &&
		      !accesses_are_watched(cpu)))
		return X86_OK;
	return interp_segment_check(vcpu, seg, offset, size, access, gva);
}

/* Host address of [gva, +size) if the software TLB has it as RAM within one page, else NULL. */
static __attribute__((always_inline)) inline uint8_t *
tlb_host(struct vcpu *vcpu, gva_t gva, unsigned size, enum access kind, gpa_t *gpa)
{
	const enum access who = kind == ACCESS_EXEC ? access_at_cpl(vcpu->cpu.cpl) :
						      cpu_access(&vcpu->cpu);
	const struct soft_tlb_entry *e =
		&vcpu->soft_tlb.entry[access_who(who)][kind]
				     [gva >> GUEST_PAGE_SHIFT & (SOFT_TLB_ENTRIES - 1)];
	unsigned in_page = gva & ~GUEST_PAGE_MASK;

	if (rf_unlikely(e->page != ((gva & GUEST_PAGE_MASK) | 1) || !e->host ||
			in_page > GUEST_PAGE_SIZE - size))
		return NULL;
	*gpa = gpa_add(e->gpa, in_page);
	return e->host + in_page;
}

static __attribute__((always_inline)) inline enum x86_status lin_read(struct vcpu *vcpu, gva_t gva,
								      void *buf, unsigned size)
{
	gpa_t gpa;
	const uint8_t *host = tlb_host(vcpu, gva, size, ACCESS_READ, &gpa);

	if (rf_unlikely(!host))
		return interp_read_slow(vcpu, gva, buf, size);
	memcpy(buf, host, size);
	return X86_OK;
}

static __attribute__((always_inline)) inline enum x86_status
lin_write(struct vcpu *vcpu, gva_t gva, const void *buf, unsigned size)
{
	gpa_t gpa;
	uint8_t *host = tlb_host(vcpu, gva, size, ACCESS_WRITE, &gpa);

	if (rf_unlikely(!host || guest_ram_flags(&vcpu->vm->ram, gpa) ||
			gpa_frame(gpa) == vcpu_interp(vcpu)->code_page))
		return interp_write_slow(vcpu, gva, buf, size);
	memcpy(host, buf, size);
	return X86_OK;
}

static __attribute__((always_inline)) inline enum x86_status
seg_read(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset, unsigned size, uint32_t *value)
{
	enum x86_status status;
	gva_t gva;

	*value = 0;
	status = seg_linear(vcpu, seg, offset, size, ACCESS_READ, &gva);
	if (rf_unlikely(status))
		return status;
	return lin_read(vcpu, gva, value, size);
}

static __attribute__((always_inline)) inline enum x86_status
seg_write(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset, unsigned size, uint32_t value)
{
	enum x86_status status;
	gva_t gva;

	status = seg_linear(vcpu, seg, offset, size, ACCESS_WRITE, &gva);
	if (rf_unlikely(status))
		return status;
	return lin_write(vcpu, gva, &value, size);
}

/* The r/m operand. */
static __attribute__((always_inline)) inline enum x86_status
rm_read(struct vcpu *vcpu, const struct insn *i, unsigned size, uint32_t *value)
{
	if (!i->mem) {
		*value = reg_get(&vcpu->cpu, insn_rm(i), size);
		return X86_OK;
	}
	return seg_read(vcpu, i->seg, insn_ea(&vcpu->cpu, i), size, value);
}

static __attribute__((always_inline)) inline enum x86_status
rm_write(struct vcpu *vcpu, const struct insn *i, unsigned size, uint32_t value)
{
	if (!i->mem) {
		reg_set(&vcpu->cpu, insn_rm(i), value, size);
		return X86_OK;
	}
	return seg_write(vcpu, i->seg, insn_ea(&vcpu->cpu, i), size, value);
}

/* A read-modify-write of memory: after rmw_begin() has succeeded, rmw_end() cannot fault. */
struct rmw {
	gva_t gva;
	uint8_t *host; /* NULL: through mem_write() */
};

enum x86_status interp_rmw_slow(struct vcpu *vcpu, gva_t gva, unsigned size,
				void *old) RF_MUST_CHECK;

static __attribute__((always_inline)) inline enum x86_status
rmw_begin(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset, unsigned size, struct rmw *rmw,
	  void *old)
{
	enum x86_status status = seg_linear(vcpu, seg, offset, size, ACCESS_WRITE, &rmw->gva);
	gpa_t gpa;

	if (rf_unlikely(status))
		return status;
	rmw->host = tlb_host(vcpu, rmw->gva, size, ACCESS_WRITE, &gpa);
	if (rf_unlikely(!rmw->host || guest_ram_flags(&vcpu->vm->ram, gpa) ||
			gpa_frame(gpa) == vcpu_interp(vcpu)->code_page)) {
		rmw->host = NULL;
		return interp_rmw_slow(vcpu, rmw->gva, size, old);
	}
	memcpy(old, rmw->host, size);
	return X86_OK;
}

static __attribute__((always_inline)) inline enum x86_status
rmw_end(struct vcpu *vcpu, const struct rmw *rmw, unsigned size, const void *value)
{
	if (rf_unlikely(!rmw->host)) {
		enum x86_status status = interp_write_slow(vcpu, rmw->gva, value, size);

		assert(status == X86_OK);
		return status;
	}
	memcpy(rmw->host, value, size);
	return X86_OK;
}

/* --- Stack --- */

static inline uint32_t stack_mask(const struct cpu *cpu)
{
	return stack_size_mask(&cpu->seg[X86_SS]);
}

static inline void stack_set(struct cpu *cpu, uint32_t value)
{
	stack_commit_esp(cpu, &cpu->seg[X86_SS], value);
}

static __attribute__((always_inline)) inline enum x86_status
push_value(struct vcpu *vcpu, uint32_t value, unsigned size)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t esp = (cpu->regs[X86_ESP] - size) & stack_mask(cpu);
	enum x86_status status = seg_write(vcpu, X86_SS, esp, size, value);

	if (rf_likely(status == X86_OK))
		stack_set(cpu, esp);
	return status;
}

/* Reads what POP would, depth bytes above the top; moves nothing. */
static __attribute__((always_inline)) inline enum x86_status
peek_value(struct vcpu *vcpu, uint32_t depth, unsigned size, uint32_t *value)
{
	struct cpu *cpu = &vcpu->cpu;

	return seg_read(vcpu, X86_SS, (cpu->regs[X86_ESP] + depth) & stack_mask(cpu), size, value);
}

/* Near transfer to offset target: checks the limit. */
static __attribute__((always_inline)) inline enum x86_status
jump_near(struct vcpu *vcpu, uint32_t target, unsigned op_size)
{
	struct cpu *cpu = &vcpu->cpu;

	if (op_size == 2)
		target &= 0xffff;
	if (rf_unlikely(target > cpu->seg[X86_CS].limit))
		return raise_gp(vcpu);
	cpu->eip = target;
	return X86_OK;
}

#define RETURN_IF_FAULT(expr) \
	do { \
		enum x86_status s_ = (expr); \
		if (rf_unlikely(s_)) \
			return s_; \
	} while (0)

#endif

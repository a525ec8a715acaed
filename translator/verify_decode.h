/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host instructions as the verifier sees them: Capstone's reading of the bytes in 64-bit mode, and
 * beside it our own of prefixes, ModRM and SIB. Where the two disagree the bytes are refused.
 * Private to verify*.c.
 */
#ifndef RF_TRANSLATOR_VERIFY_DECODE_H
#define RF_TRANSLATOR_VERIFY_DECODE_H

#include "x86/types.h"

/*
 * Instructions that monitor-owned forms are made of (verify_forms.c), and transfers. All others are
 * HOST_OTHER.
 */
enum host_op {
	HOST_OTHER, HOST_MOV, HOST_MOVZX, HOST_LEA, HOST_AND, HOST_OR, HOST_CMP, HOST_PEXT,
	HOST_PDEP, HOST_PUSH, HOST_POP, HOST_PUSHF, HOST_POPF, HOST_RDTSC, HOST_STRING,
	HOST_JMP, HOST_CALL, HOST_RET, HOST_JCC, HOST_JRCXZ, HOST_LOOP /* and JECXZ */,
};

/*
 * Whether a guest's instruction may be copied as this one (verify_list.c), and what of the mode it
 * needs.
 */
enum host_copy { COPY_NEVER, COPY_GENERAL, COPY_X87, COPY_MMX, COPY_SSE };

enum host_file {
	FILE_GENERAL,
	FILE_HIGH_BYTE /* AH to BH */,
	FILE_X87,
	FILE_MMX,
	FILE_XMM,
	FILE_OTHER
};
enum host_operand_kind { OPERAND_REGISTER, OPERAND_MEMORY, OPERAND_IMMEDIATE };

#define VERIFY_NO_REG 0xffu
#define VERIFY_RIP    0xfeu

struct host_operand {
	uint8_t kind;               /* enum host_operand_kind */
	uint8_t file, reg;          /* register: enum host_file and number, REX included */
	uint8_t bytes;              /* of a register or memory operand */
	/* memory: register numbers or VERIFY_NO_REG, VERIFY_RIP; scale 1, 2, 4, 8 */
	uint8_t base, index, scale;
	int64_t disp;
	int64_t value;              /* immediate, or absolute branch target */
};

/* Prefixes. */
#define HOST_ADDR32 0x02u
#define HOST_66     0x04u
#define HOST_F3     0x08u
#define HOST_F2     0x10u
#define HOST_LOCK   0x20u
#define HOST_VEX    0x40u

enum host_map { HOST_MAP_1BYTE, HOST_MAP_0F, HOST_MAP_0F38, HOST_MAP_0F3A };
#define REX_W 8u

struct host_insn {
	uint32_t offset;            /* in the TU */
	uint8_t length;
	uint8_t prefixes, rex;      /* HOST_*; the REX byte's low half (VEX.W, R, X, B alike) */
	uint8_t map, opcode;        /* enum host_map; the opcode's last byte */
	uint8_t op, copy;           /* enum host_op, enum host_copy */
	uint8_t noperands;
	/* BT and its kin with a register: may reach beside its operand's address */
	bool bit_string;
	bool writes_memory;         /* its memory operand, or that is not certain */
	bool byte_alu;              /* ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST */
	struct host_operand operand[4];
};

struct verify_decoder;
int verify_decoder_create(struct verify_decoder **out) RF_MUST_CHECK;
void verify_decoder_destroy(struct verify_decoder *d);

enum verify_decode_result { VERIFY_DECODED, VERIFY_UNDECODABLE, VERIFY_MISENCODED };
/* code[0..avail) runs at address. On failure *why says what is wrong. */
enum verify_decode_result verify_decode(struct verify_decoder *d, const uint8_t *code,
					unsigned avail, uint64_t address, struct host_insn *insn,
					const char **why);

/*
 * General registers that insn, the last one decoded, writes: bits by number. All of them if that is
 * not known.
 */
uint32_t verify_decode_written(struct verify_decoder *d, const struct host_insn *insn);

/* For reports: the text of the instruction at code, and its length; 1 if there is none. */
unsigned verify_decode_text(struct verify_decoder *d, const uint8_t *code, unsigned avail,
			    uint64_t address, char *text, size_t size);

/* verify_list.c: what is known of each of Capstone's instructions. */
struct host_listed {
	uint8_t op, copy;   /* enum host_op, enum host_copy */
	bool only_reads;    /* a memory operand in the first place is not written */
	bool exchanges;     /* a memory operand in the second place is written too */
	bool bit_string, byte_alu;
	/* size of the memory operand where Capstone says otherwise; 0: as it says */
	uint8_t bytes;
};
unsigned verify_list_size(void);
void verify_list_fill(struct host_listed *list);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier's allow list: the host instructions a guest's instruction may be copied as. Each of
 * them does to general, x87, MMX and XMM registers and arithmetic flags what it does in 32-bit
 * mode, reaches no memory but through an operand in ModRM, leaves the stack pointer, segments and
 * system state alone, and shows nothing of the host. What is not here is refused: instructions that
 * exist only in newer processors too.
 */
#include <capstone/capstone.h>
#include "verify_decode.h"

#define I(name) X86_INS_##name

static const uint16_t general[] = {
	I(ADC), I(ADD), I(AND), I(BSF), I(BSR), I(BSWAP), I(BT), I(BTC), I(BTR), I(BTS), I(CBW),
	I(CDQ), I(CLC), I(CLD), I(CLFLUSH), I(CMC), I(CMOVA), I(CMOVAE), I(CMOVB), I(CMOVBE),
	I(CMOVE), I(CMOVG), I(CMOVGE), I(CMOVL), I(CMOVLE), I(CMOVNE), I(CMOVNO), I(CMOVNP),
	I(CMOVNS), I(CMOVO), I(CMOVP), I(CMOVS), I(CMP), I(CMPXCHG), I(CMPXCHG8B), I(CRC32), I(CWD),
	I(CWDE), I(DEC), I(DIV), I(IDIV), I(IMUL), I(INC), I(LAHF), I(LEA), I(LFENCE), I(LZCNT),
	I(MFENCE),
	I(MOV), I(MOVBE), I(MOVNTI), I(MOVSX), I(MOVZX), I(MUL), I(NEG), I(NOP), I(NOT), I(OR),
	I(PAUSE), I(POPCNT), I(RCL), I(RCR), I(ROL), I(ROR), I(SAHF), I(SAL), I(SAR), I(SBB),
	I(SETA), I(SETAE), I(SETB), I(SETBE), I(SETE), I(SETG), I(SETGE), I(SETL), I(SETLE),
	I(SETNE), I(SETNO), I(SETNP), I(SETNS), I(SETO), I(SETP), I(SETS), I(SFENCE), I(SHL),
	I(SHLD), I(SHR), I(SHRD), I(STC), I(STD), I(SUB), I(TEST), I(XADD), I(XCHG), I(XOR),
};

static const uint16_t x87[] = {
	I(F2XM1), I(FABS), I(FADD), I(FADDP), I(FBLD), I(FBSTP), I(FCHS), I(FCMOVB), I(FCMOVBE),
	I(FCMOVE), I(FCMOVNB), I(FCMOVNBE), I(FCMOVNE), I(FCMOVNU), I(FCMOVU), I(FCOM), I(FCOMI),
	I(FCOMP), I(FCOMIP), I(FCOMPP), I(FCOS), I(FDECSTP), I(FDISI8087_NOP), I(FDIV), I(FDIVP),
	I(FDIVR), I(FDIVRP), I(FENI8087_NOP), I(FFREE), I(FFREEP), I(FIADD), I(FICOM), I(FICOMP),
	I(FIDIV), I(FIDIVR), I(FILD), I(FIMUL), I(FINCSTP), I(FIST), I(FISTP), I(FISTTP), I(FISUB),
	I(FISUBR), I(FLD), I(FLD1), I(FLDCW), I(FLDL2E), I(FLDL2T), I(FLDLG2), I(FLDLN2), I(FLDPI),
	I(FLDZ), I(FMUL), I(FMULP), I(FNCLEX), I(FNINIT), I(FNOP), I(FNSTCW), I(FNSTSW), I(FPATAN),
	I(FPREM), I(FPREM1), I(FPTAN), I(FRNDINT), I(FSCALE), I(FSETPM), I(FSIN), I(FSINCOS),
	I(FSQRT), I(FST), I(FSTP), I(FSTPNCE), I(FSUB), I(FSUBP), I(FSUBR), I(FSUBRP), I(FTST),
	I(FUCOM), I(FUCOMI), I(FUCOMP), I(FUCOMIP), I(FUCOMPP), I(FXAM), I(FXCH), I(FXTRACT),
	I(FYL2X), I(FYL2XP1), I(WAIT),
};

/* MMX, or SSE if an operand is an XMM register. */
static const uint16_t mmx[] = {
	I(EMMS), I(MOVD), I(MOVNTQ), I(MOVQ), I(PABSB), I(PABSD), I(PABSW), I(PACKSSDW),
	I(PACKSSWB), I(PACKUSWB), I(PADDB), I(PADDD), I(PADDQ), I(PADDSB), I(PADDSW), I(PADDUSB),
	I(PADDUSW), I(PADDW), I(PALIGNR), I(PAND), I(PANDN), I(PAVGB), I(PAVGW), I(PCMPEQB),
	I(PCMPEQD), I(PCMPEQW), I(PCMPGTB), I(PCMPGTD), I(PCMPGTW), I(PEXTRW), I(PHADDD),
	I(PHADDSW), I(PHADDW), I(PHSUBD), I(PHSUBSW), I(PHSUBW), I(PINSRW), I(PMADDUBSW),
	I(PMADDWD), I(PMAXSW), I(PMAXUB), I(PMINSW), I(PMINUB), I(PMOVMSKB), I(PMULHRSW),
	I(PMULHUW), I(PMULHW), I(PMULLW), I(PMULUDQ), I(POR), I(PSADBW), I(PSHUFB), I(PSHUFW),
	I(PSIGNB), I(PSIGND), I(PSIGNW), I(PSLLD), I(PSLLQ), I(PSLLW), I(PSRAD), I(PSRAW), I(PSRLD),
	I(PSRLQ), I(PSRLW), I(PSUBB), I(PSUBD), I(PSUBQ), I(PSUBSB), I(PSUBSW), I(PSUBUSB),
	I(PSUBUSW), I(PSUBW), I(PUNPCKHBW), I(PUNPCKHDQ), I(PUNPCKHWD), I(PUNPCKLBW), I(PUNPCKLDQ),
	I(PUNPCKLWD), I(PXOR),
};

/* The compares have a name of their own for each immediate below 8. */
#define COMPARES(suffix) \
	I(CMP##suffix), I(CMPEQ##suffix), I(CMPLT##suffix), I(CMPLE##suffix), I(CMPUNORD##suffix), \
	I(CMPNEQ##suffix), I(CMPNLT##suffix), I(CMPNLE##suffix), I(CMPORD##suffix)

static const uint16_t sse[] = {
	COMPARES(PS), COMPARES(PD), COMPARES(SS), COMPARES(SD),
	I(ADDPD), I(ADDPS), I(ADDSD), I(ADDSS), I(ADDSUBPD), I(ADDSUBPS), I(ANDNPD), I(ANDNPS),
	I(ANDPD), I(ANDPS), I(BLENDPD), I(BLENDPS), I(BLENDVPD), I(BLENDVPS), I(COMISD), I(COMISS),
	I(CVTDQ2PD), I(CVTDQ2PS), I(CVTPD2DQ), I(CVTPD2PI), I(CVTPD2PS), I(CVTPI2PD), I(CVTPI2PS),
	I(CVTPS2DQ), I(CVTPS2PD), I(CVTPS2PI), I(CVTSD2SI), I(CVTSD2SS), I(CVTSI2SD), I(CVTSI2SS),
	I(CVTSS2SD), I(CVTSS2SI), I(CVTTPD2DQ), I(CVTTPD2PI), I(CVTTPS2DQ), I(CVTTPS2PI),
	I(CVTTSD2SI), I(CVTTSS2SI), I(DIVPD), I(DIVPS), I(DIVSD), I(DIVSS), I(DPPD), I(DPPS),
	I(EXTRACTPS), I(HADDPD), I(HADDPS), I(HSUBPD), I(HSUBPS), I(INSERTPS), I(LDDQU), I(MAXPD),
	I(MAXPS), I(MAXSD), I(MAXSS), I(MINPD), I(MINPS), I(MINSD), I(MINSS), I(MOVAPD), I(MOVAPS),
	I(MOVDDUP), I(MOVDQ2Q), I(MOVDQA), I(MOVDQU), I(MOVHLPS), I(MOVHPD), I(MOVHPS), I(MOVLHPS),
	I(MOVLPD), I(MOVLPS), I(MOVMSKPD), I(MOVMSKPS), I(MOVNTDQ), I(MOVNTDQA), I(MOVNTPD),
	I(MOVNTPS), I(MOVQ2DQ), I(MOVSD), I(MOVSHDUP), I(MOVSLDUP), I(MOVSS), I(MOVUPD), I(MOVUPS),
	I(MPSADBW), I(MULPD), I(MULPS), I(MULSD), I(MULSS), I(ORPD), I(ORPS), I(PACKUSDW),
	I(PBLENDVB), I(PBLENDW), I(PCMPEQQ), I(PCMPESTRI), I(PCMPESTRM), I(PCMPGTQ), I(PCMPISTRI),
	I(PCMPISTRM), I(PEXTRB), I(PEXTRD), I(PHMINPOSUW), I(PINSRB), I(PINSRD), I(PMAXSB),
	I(PMAXSD), I(PMAXUD), I(PMAXUW), I(PMINSB), I(PMINSD), I(PMINUD), I(PMINUW), I(PMOVSXBD),
	I(PMOVSXBQ), I(PMOVSXBW), I(PMOVSXDQ), I(PMOVSXWD), I(PMOVSXWQ), I(PMOVZXBD), I(PMOVZXBQ),
	I(PMOVZXBW), I(PMOVZXDQ), I(PMOVZXWD), I(PMOVZXWQ), I(PMULDQ), I(PMULLD), I(PSHUFD),
	I(PSHUFHW), I(PSHUFLW), I(PSLLDQ), I(PSRLDQ), I(PTEST), I(PUNPCKHQDQ), I(PUNPCKLQDQ),
	I(RCPPS), I(RCPSS), I(ROUNDPD), I(ROUNDPS), I(ROUNDSD), I(ROUNDSS), I(RSQRTPS), I(RSQRTSS),
	I(SHUFPD), I(SHUFPS), I(SQRTPD), I(SQRTPS), I(SQRTSD), I(SQRTSS), I(STMXCSR), I(SUBPD),
	I(SUBPS), I(SUBSD), I(SUBSS), I(UCOMISD), I(UCOMISS), I(UNPCKHPD), I(UNPCKHPS), I(UNPCKLPD),
	I(UNPCKLPS), I(XORPD), I(XORPS),
};

static const struct { uint16_t id; uint8_t op; } ops[] = {
	{ I(MOV), HOST_MOV }, { I(MOVZX), HOST_MOVZX }, { I(LEA), HOST_LEA }, { I(AND), HOST_AND },
	{ I(OR), HOST_OR }, { I(CMP), HOST_CMP }, { I(PEXT), HOST_PEXT }, { I(PDEP), HOST_PDEP },
	{ I(PUSH), HOST_PUSH }, { I(POP), HOST_POP }, { I(PUSHFQ), HOST_PUSHF },
	{ I(POPFQ), HOST_POPF }, { I(RDTSC), HOST_RDTSC }, { I(JMP), HOST_JMP },
	{ I(CALL), HOST_CALL }, { I(RET), HOST_RET }, { I(JRCXZ), HOST_JRCXZ },
	{ I(JECXZ), HOST_LOOP }, { I(LOOP), HOST_LOOP }, { I(LOOPE), HOST_LOOP },
	{ I(LOOPNE), HOST_LOOP }, { I(JAE), HOST_JCC }, { I(JA), HOST_JCC }, { I(JBE), HOST_JCC },
	{ I(JB), HOST_JCC }, { I(JE), HOST_JCC }, { I(JGE), HOST_JCC }, { I(JG), HOST_JCC },
	{ I(JLE), HOST_JCC }, { I(JL), HOST_JCC }, { I(JNE), HOST_JCC }, { I(JNO), HOST_JCC },
	{ I(JNP), HOST_JCC }, { I(JNS), HOST_JCC }, { I(JO), HOST_JCC }, { I(JP), HOST_JCC },
	{ I(JS), HOST_JCC },
};

/* First operand, and not written if it is memory. */
static const uint16_t only_read[] = { I(BT),   I(CLFLUSH), I(CMP), I(DIV),
				      I(IDIV), I(IMUL),    I(MUL), I(TEST) };

/* Written wherever it stands among the operands. */
static const uint16_t exchanges[] = { I(CMPXCHG), I(XADD), I(XCHG) };

/* Capstone gives the size of the register they compare with. */
static const struct {
	uint16_t id;
	uint8_t bytes;
} sizes[] = { { I(COMISS), 4 }, { I(COMISD), 8 } };

static const uint16_t bit_strings[] = { I(BT), I(BTC), I(BTR), I(BTS) };

static const uint16_t byte_alu[] = { I(ADD), I(OR),  I(ADC), I(SBB), I(AND),
				     I(SUB), I(XOR), I(CMP), I(TEST) };

static void fill(struct host_listed *list, const uint16_t *ids, size_t n, enum host_copy copy)
{
	for (size_t i = 0; i < n; i++)
		list[ids[i]].copy = copy;
}

void verify_list_fill(struct host_listed *list)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(ops); i++)
		list[ops[i].id].op = ops[i].op;
	for (size_t i = 0; i < RF_ARRAY_SIZE(only_read); i++)
		list[only_read[i]].only_reads = true;
	for (size_t i = 0; i < RF_ARRAY_SIZE(exchanges); i++)
		list[exchanges[i]].exchanges = true;
	for (size_t i = 0; i < RF_ARRAY_SIZE(sizes); i++)
		list[sizes[i].id].bytes = sizes[i].bytes;
	for (size_t i = 0; i < RF_ARRAY_SIZE(bit_strings); i++)
		list[bit_strings[i]].bit_string = true;
	for (size_t i = 0; i < RF_ARRAY_SIZE(byte_alu); i++)
		list[byte_alu[i]].byte_alu = true;
	fill(list, general, RF_ARRAY_SIZE(general), COPY_GENERAL);
	fill(list, x87, RF_ARRAY_SIZE(x87), COPY_X87);
	fill(list, mmx, RF_ARRAY_SIZE(mmx), COPY_MMX);
	fill(list, sse, RF_ARRAY_SIZE(sse), COPY_SSE);
}

unsigned verify_list_size(void)
{
	return X86_INS_ENDING;
}

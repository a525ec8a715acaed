/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine of the interpreter's tests. */
#include <string.h>
#include "interp_fixture.h"

void ix_setup(void)
{
	fx_setup();
	VCPU->model = cpu_model_find("max");
	cr_assert_not_null(VCPU->model);
	CPU.cr0 |= CR0_NE | CR0_MP;
	CPU.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	CPU.fpu.fcw = 0x37f;
	CPU.fpu.mxcsr = 0x1f80;
	cr_assert_eq(interp_create(VCPU), 0);
}

void ix_teardown(void)
{
	interp_destroy(VCPU);
	fx_teardown();
}

int ix_vector(void)
{
	uint32_t offset = CPU.eip - 0xc0100000u;

	return offset < 256 * 16 && offset % 16 == 0 ? (int)(offset / 16) : -1;
}

enum interp_result ix_run(const void *code, unsigned len, unsigned steps)
{
	enum interp_result result = INTERP_OK;

	memcpy(fx_vm->ram.flat + CPU.seg[X86_CS].base + CPU.eip, code, len);
	while (steps--)
		result = interp_step(VCPU);
	return result;
}

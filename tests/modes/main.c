/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every area's cases, between two lines that show that nothing is missing. */
#include "modes.h"

void main(void)
{
	machine_init();
	print_init();
	print("modes\n");
	run_edges();
	run_v86();
	run_tasks();
	run_gates();
	run_looks();
	run_switches();
	print("end\n");
	finish();
}

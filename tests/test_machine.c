/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making a machine on hosts that lack something: what is said, and that nothing stays behind. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "monitor/bt/internal.h"
#include "monitor/vm/host_facts.h"
#include "monitor/machine/machine.h"

static char kernel[] = "/tmp/test-machine-XXXXXX";
static struct vm_config config;
static struct error error;

/* An ELF image of "cli; hlt" at 2 MiB. */
static void write_kernel(void)
{
	static const uint8_t header[] = {
		0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0, 0,
		0, 0x20, 0,
		52, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		1, 0, 0, 0, 84, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0x20, 0, 2, 0, 0, 0, 2, 0, 0, 0, 7, 0,
		0, 0, 1, 0, 0, 0, 0xfa, 0xf4,
	};
	int fd = mkstemp(kernel);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, header, sizeof(header)), (ssize_t)sizeof(header));
	close(fd);
}

static void setup(void)
{
	char *argv[] = { "ringfence", "-display", "none", "-m", "16", "-accel", "bt", "-kernel",
		kernel, NULL };

	write_kernel();
	cr_assert_eq(options_parse(RF_ARRAY_SIZE(argv) - 1, argv, &config), OPTIONS_RUN,
		     "%s", config.refusals);
}

static void teardown(void)
{
	options_free(&config);
	unlink(kernel);
}

TestSuite(machine, .init = setup, .fini = teardown, .timeout = 120);

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Twice, so that what libraries keep for good is not counted. */
static void expect_refusal(const struct host_facts *facts, const char *const text[3])
{
	unsigned files = 0;

	config.host = facts;
	for (int round = 0; round < 2; round++) {
		struct machine *m = NULL;

		files = open_files();
		error = (struct error){ 0 };
		cr_assert_lt(machine_create(&config, &m, &error), 0);
		cr_expect_null(m);
		for (int i = 0; i < 3; i++)
			cr_expect_not_null(strstr(error.text, text[i]), "'%s' does not say '%s'",
					   error.text, text[i]);
		cr_expect_null(strchr(error.text, '\n'), "more than a line");
	}
	cr_expect_eq(open_files(), files);
}

Test(machine, needs_nothing_that_this_host_lacks)
{
	struct host_facts facts;
	struct machine *m;

	host_facts_probe(&facts);
	cr_assert_eq(bt_host_check(&facts, &error), 0, "%s", error.text);
	config.host = &facts;
	cr_assert_eq(machine_create(&config, &m, &error), 0, "%s", error.text);
	machine_destroy(m);
	config.host = NULL;
	cr_assert_eq(machine_create(&config, &m, &error), 0, "%s", error.text);
	machine_destroy(m);
}

/* Optional: translated code takes other forms. */
Test(machine, without_fsgsbase_and_bmi2)
{
	struct machine *m;
	struct host_facts facts;

	host_facts_probe(&facts);
	facts.features &= ~(HOST_FSGSBASE | HOST_BMI2);
	config.host = &facts;
	cr_assert_eq(machine_create(&config, &m, &error), 0, "%s", error.text);
	machine_destroy(m);
}

Test(machine, what_is_said_of_hosts)
{
	struct host_facts facts = { .features = HOST_LAHF | HOST_BMI2 };
	char text[384];

	bt_describe_host(&facts, text, sizeof(text));
	cr_expect_not_null(strstr(text, "usable here, with BMI2"), "%s", text);
	facts.features = HOST_LAHF | HOST_FSGSBASE;
	bt_describe_host(&facts, text, sizeof(text));
	cr_expect_not_null(strstr(text, "usable here, without BMI2"), "%s", text);
	facts.features = HOST_BMI2;
	bt_describe_host(&facts, text, sizeof(text));
	cr_expect_not_null(strstr(text, "not usable here: this host's processor has no LAHF"), "%s",
			   text);
}

Test(machine, without_lahf)
{
	struct host_facts facts;

	host_facts_probe(&facts);
	facts.features &= ~HOST_LAHF;
	expect_refusal(&facts, (const char *const[]){ "-accel bt: ", "LAHF", "lahf_lm",
						      "use -accel interp" });
}

Test(machine, with_too_few_mappings)
{
	struct host_facts facts;

	host_facts_probe(&facts);
	facts.limits.map_count = 4096;
	expect_refusal(&facts, (const char *const[]){ "-accel bt: ", "vm.max_map_count is 4096",
						      "sysctl vm.max_map_count=65530" });
}

Test(machine, with_too_little_address_space)
{
	struct host_facts facts;

	host_facts_probe(&facts);
	facts.limits.address_space = 8ull << 30;
	expect_refusal(&facts, (const char *const[]){ "-accel bt: ", "address-space limit",
						      "ulimit -v unlimited" });
}

/* The interpreter asks nothing of the host. */
Test(machine, interp_runs_on_any_host)
{
	const struct host_facts nothing = { 0 };
	struct machine *m;

	config.host = &nothing;
	config.engine = "interp";
	cr_assert_eq(machine_create(&config, &m, &error), 0, "%s", error.text);
	machine_destroy(m);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts for the user: said, put in front of, left alone, cut short. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "x86/error.h"

#define TEXT_MAX (ERROR_TEXT_SIZE - 1)

static char many[2 * ERROR_TEXT_SIZE]; /* a letter, repeated */

/* Letters of many from the end: n of them. */
static const char *letters(size_t n)
{
	memset(many, 'x', sizeof(many) - 1);
	return many + sizeof(many) - 1 - n;
}

static void expect_text(const struct error *error, const char *text)
{
	cr_expect_str_eq(error->text, text);
}

Test(error, says_what_it_is_given_and_returns_the_errno)
{
	struct error error = { 0 };

	cr_expect_eq(error_set(&error, -EINVAL, "-m %s: give %uM", "1k", 2), -EINVAL);
	expect_text(&error, "-m 1k: give 2M");
}

Test(error, the_last_one_counts)
{
	struct error error = { 0 };

	error_set(&error, -EINVAL, "a long text that is gone afterwards");
	cr_expect_eq(error_set(&error, -EIO, "short"), -EIO);
	expect_text(&error, "short");
}

Test(error, prefixes_pile_up)
{
	struct error error = { 0 };

	error_set(&error, -EACCES, "cannot open '%s'", "/dev/kvm");
	cr_expect_eq(error_prefix(&error, -EACCES, "-accel %s", "kvm"), -EACCES);
	cr_expect_eq(error_prefix(&error, -ENOTSUP, "outer"), -ENOTSUP);
	expect_text(&error, "outer: -accel kvm: cannot open '/dev/kvm'");
}

Test(error, a_prefix_of_nothing_stands_alone)
{
	struct error error = { 0 };

	error_prefix(&error, -EIO, "-monitor");
	expect_text(&error, "-monitor");
}

Test(error, a_default_leaves_alone_what_was_said)
{
	struct error error = { 0 };

	cr_expect_eq(error_default(&error, -ENOMEM, "no %s", "memory"), -ENOMEM);
	expect_text(&error, "no memory");
	cr_expect_eq(error_default(&error, -EIO, "other"), -EIO);
	expect_text(&error, "no memory");
}

Test(error, texts_without_room_end_in_dots)
{
	struct error error = { 0 };

	error_set(&error, -EINVAL, "%s", letters(TEXT_MAX));
	cr_expect_str_eq(error.text, letters(TEXT_MAX));
	error_set(&error, -EINVAL, "%s", letters(TEXT_MAX + 1));
	cr_expect_eq(strlen(error.text), TEXT_MAX);
	cr_expect_eq(strspn(error.text, "x"), TEXT_MAX - 3);
	cr_expect_str_eq(error.text + TEXT_MAX - 3, "...");
}

Test(error, prefixes_cut_the_end)
{
	struct error error = { 0 };

	error_set(&error, -EINVAL, "%s", letters(TEXT_MAX - 3));
	error_prefix(&error, -EINVAL, "y");
	cr_expect_eq(strlen(error.text), TEXT_MAX);
	cr_expect_eq(error.text[TEXT_MAX - 1], 'x', "what fits is not cut");
	error_prefix(&error, -EINVAL, "z");
	cr_expect_eq(strlen(error.text), TEXT_MAX);
	cr_expect_eq(strncmp(error.text, "z: y: xxx", 9), 0);
	cr_expect_str_eq(error.text + TEXT_MAX - 4, "x...");
	error_prefix(&error, -EINVAL, "%s", letters(TEXT_MAX + 1));
	cr_expect_str_eq(error.text + TEXT_MAX - 4, "x...");
	error_set(&error, -EINVAL, "%s", "later");
	error_prefix(&error, -EINVAL, "%s", letters(TEXT_MAX));
	cr_expect_str_eq(error.text + TEXT_MAX - 4, "x...", "no room for anything after it");
}

Test(error, nobody_need_listen)
{
	cr_expect_eq(error_set(NULL, -EINVAL, "%s", "unheard"), -EINVAL);
	cr_expect_eq(error_prefix(NULL, -EIO, "%s", "unheard"), -EIO);
	cr_expect_eq(error_default(NULL, -ENOMEM, "%s", "unheard"), -ENOMEM);
}

Test(error, arguments_may_be_the_text_itself)
{
	struct error error = { 0 };

	error_set(&error, -EINVAL, "inner");
	error_set(&error, -EINVAL, "<%s>", error.text);
	expect_text(&error, "<inner>");
	error_prefix(&error, -EINVAL, "%s and", error.text);
	expect_text(&error, "<inner> and: <inner>");
}

Test(error, a_limit_that_was_met_is_named)
{
	cr_expect_str_eq(error_reason(ENOENT), strerror(ENOENT));
	cr_expect_str_eq(error_reason(-ENOENT), strerror(ENOENT));
	cr_expect(strstr(error_reason(-EMFILE), "(ulimit -n)"));
	cr_expect(strstr(error_reason(ENFILE), "fs.file-max"));
	cr_expect(strstr(error_reason(EFBIG), "ulimit -f"));
}

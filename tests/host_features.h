/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests and benchmarks need of the host beyond what ringfence needs. Only trying tells: a
 * processor may have what its system does not let programs use. What KVM can do, monitor/kvm/host.h
 * says.
 *
 * For scripts the same is build/tests/host-features.
 */
#ifndef RF_TESTS_HOST_FEATURES_H
#define RF_TESTS_HOST_FEATURES_H

enum host_feature {
	HOST_PROGRAMS_32,     /* Linux starts 32-bit programs */
	/* Linux's 32-bit code segment (23h), for a part of a 64-bit process */
	HOST_CODE_SEGMENT_32,
	HOST_FEATURES,
};

/* As scripts call it: "programs-32", "code-segment-32". */
const char *host_feature_name(enum host_feature feature);

/* Why the host does not have it (static text), or NULL: it has. Tries it anew, in a child. */
const char *host_lacks(enum host_feature feature);

#endif

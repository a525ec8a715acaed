# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's openssl for i386, with no more of the processor than SSE2, so that every engine runs the
# same code.
export OPENSSL_ia32cap=0x07808010:0 OPENSSL_CONF=/dev/null
exec ./tools/ld-linux.so.2 --inhibit-cache --library-path tools ./tools/openssl "$@"

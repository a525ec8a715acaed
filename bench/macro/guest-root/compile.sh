# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's tcc for i386 makes an object of source.c; its checksum is what is compared.
./tools/ld-linux.so.2 --inhibit-cache --library-path tools ./tools/tcc -c source.c \
	-o scratch/source.o || exit
./busybox md5sum scratch/source.o
./busybox rm scratch/source.o

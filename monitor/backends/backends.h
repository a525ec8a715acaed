/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The room's public header: the host's side of disks and character devices, and the terminal. */
#ifndef RF_MONITOR_BACKENDS_BACKENDS_H
#define RF_MONITOR_BACKENDS_BACKENDS_H

#include "block_backend.h"
#include "char_backend.h"
#include "char_mux.h"
#include "terminal.h"

#endif

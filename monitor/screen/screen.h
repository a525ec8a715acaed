/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The room's public header: the guest's screen and keyboard, for the user and for scripts. */
#ifndef RF_MONITOR_SCREEN_SCREEN_H
#define RF_MONITOR_SCREEN_SCREEN_H

#include "curses_display.h"
#include "dump.h"
#include "keys.h"

#endif

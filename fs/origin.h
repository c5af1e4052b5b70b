/* SPDX-License-Identifier: Apache-2.0 */
/* Where a file of a mount comes from: which part of the configuration says what it is. */
#pragma once

#include <stdint.h>

enum origin_kind {
    ORIGIN_NONE,    /* a directory that the catalogue implies */
    ORIGIN_SOURCE,  /* conf.sources[index]: mirrored */
    ORIGIN_FILE,    /* conf.files[index]: the catalogue's */
    ORIGIN_BY_NAME, /* .kbs/REPOSITORY/TYPE/TAG */
    ORIGIN_KIND_MAX = ORIGIN_BY_NAME
};

struct origin {
    uint8_t kind;   /* enum origin_kind */
    uint16_t index; /* 0 where the kind has none */
};

#define BY_NAME_DIR ".kbs"

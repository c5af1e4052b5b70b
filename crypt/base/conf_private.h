/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of conf share: conf.c (reading), conf_file.c (files), conf_sample.c (samples). */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/conf.h"

bool conf_section_exists(const struct conf_field *fields, size_t count, struct bytes section);

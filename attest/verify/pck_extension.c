/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/pck_extension.h"

#define TAG_BOOLEAN    0x01
#define TAG_INTEGER    0x02
#define TAG_OCTETS     0x04
#define TAG_OID        0x06
#define TAG_ENUMERATED 0x0a
#define TAG_SEQUENCE   0x30
#define MEMBERS_MAX    64 /* of one sequence */

/* 1.2.840.113741.1.13.1; members add one or two arcs, each below 128. */
static const uint8_t arc[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};

/* What a member is stored as. */
enum kind { KIND_OCTETS, KIND_BYTE, KIND_U16, KIND_TYPE, KIND_BOOLEAN, KIND_SEQUENCE };

struct member {
    const char *name;
    enum kind kind;
    size_t offset, size;
    const struct member *members; /* of a sequence: a table as long as `size`; [i] is arc i + 1 */
};

#define AT(field) offsetof(struct pck_extension, field)
#define COMPONENT(i)                                              \
    {                                                             \
        "component SVN", KIND_BYTE, AT(components) + (i), 1, NULL \
    }

static const struct member tcb_members[] = {
    COMPONENT(0),
    COMPONENT(1),
    COMPONENT(2),
    COMPONENT(3),
    COMPONENT(4),
    COMPONENT(5),
    COMPONENT(6),
    COMPONENT(7),
    COMPONENT(8),
    COMPONENT(9),
    COMPONENT(10),
    COMPONENT(11),
    COMPONENT(12),
    COMPONENT(13),
    COMPONENT(14),
    COMPONENT(15),
    {"PCESVN", KIND_U16, AT(pcesvn), 2, NULL},
    {"CPUSVN", KIND_OCTETS, AT(cpusvn), 16, NULL},
};

static const struct member configuration_members[] = {
    {"dynamic platform", KIND_BOOLEAN, AT(dynamic_platform), 1, NULL},
    {"cached keys", KIND_BOOLEAN, AT(cached_keys), 1, NULL},
    {"SMT enabled", KIND_BOOLEAN, AT(smt_enabled), 1, NULL},
};

enum {
    MEMBER_PPID,
    MEMBER_TCB,
    MEMBER_PCEID,
    MEMBER_FMSPC,
    MEMBER_TYPE,
    MEMBER_INSTANCE,
    MEMBER_CONFIGURATION
};

static const struct member members[] = {
    [MEMBER_PPID] = {"PPID", KIND_OCTETS, AT(ppid), 16, NULL},
    [MEMBER_TCB] = {"TCB", KIND_SEQUENCE, 0, ARRAY_LEN(tcb_members), tcb_members},
    [MEMBER_PCEID] = {"PCE-ID", KIND_OCTETS, AT(pceid), 2, NULL},
    [MEMBER_FMSPC] = {"FMSPC", KIND_OCTETS, AT(fmspc), 6, NULL},
    [MEMBER_TYPE] = {"SGX type", KIND_TYPE, AT(sgx_type), 1, NULL},
    [MEMBER_INSTANCE] = {"platform instance id", KIND_OCTETS, AT(instance_id), 16, NULL},
    [MEMBER_CONFIGURATION] = {"configuration", KIND_SEQUENCE, 0, ARRAY_LEN(configuration_members),
        configuration_members},
};

/* One element off the front of *rest: definite length in its shortest form, at most 64 KiB. */
static bool take_element(struct bytes *rest, uint8_t *ret_tag, struct bytes *ret_value)
{
    if (rest->len < 2)
        return false;
    size_t head = 2, len = rest->data[1];
    if (len == 0x81 && rest->len > 2) {
        head = 3;
        len = rest->data[2];
        if (len < 0x80)
            return false;
    } else if (len == 0x82 && rest->len > 3) {
        head = 4;
        len = (size_t)rest->data[2] << 8 | rest->data[3];
        if (len < 0x100)
            return false;
    } else if (len >= 0x80) {
        return false;
    }
    if (len > rest->len - head)
        return false;
    *ret_tag = rest->data[0];
    *ret_value = bytes_of(rest->data + head, len);
    *rest = bytes_of(rest->data + head + len, rest->len - head - len);
    return true;
}

static bool take_tagged(struct bytes *rest, uint8_t tag, struct bytes *ret_value)
{
    uint8_t got = 0;
    return take_element(rest, &got, ret_value) && got == tag;
}

/* A DER INTEGER or ENUMERATED that is not negative. */
static bool read_number(struct bytes value, uint32_t max, uint32_t *ret_number)
{
    uint32_t number = 0;
    if (value.len == 0 || value.len > 3 || value.data[0] >= 0x80)
        return false;
    if (value.len > 1 && value.data[0] == 0 && value.data[1] < 0x80)
        return false;
    for (size_t i = 0; i < value.len; i++)
        number = number << 8 | value.data[i];
    *ret_number = number;
    return number <= max;
}

static uint8_t tag_of(enum kind kind)
{
    static const uint8_t tags[] = {[KIND_OCTETS] = TAG_OCTETS,
        [KIND_BYTE] = TAG_INTEGER,
        [KIND_U16] = TAG_INTEGER,
        [KIND_TYPE] = TAG_ENUMERATED,
        [KIND_BOOLEAN] = TAG_BOOLEAN,
        [KIND_SEQUENCE] = TAG_SEQUENCE};
    return tags[kind];
}

/* Stores a value that is no sequence. */
static bool store(const struct member *member, struct bytes value, struct pck_extension *out)
{
    uint8_t *at = (uint8_t *)out + member->offset;
    uint32_t number = 0;
    switch (member->kind) {
    case KIND_OCTETS:
        if (value.len != member->size)
            return false;
        memcpy(at, value.data, value.len);
        return true;
    case KIND_BYTE:
    case KIND_TYPE:
        if (!read_number(value, 0xff, &number))
            return false;
        *at = (uint8_t)number;
        return true;
    case KIND_U16:
        if (!read_number(value, 0xffff, &number))
            return false;
        out->pcesvn = (uint16_t)number;
        return true;
    case KIND_BOOLEAN:
        if (value.len != 1 || (value.data[0] != 0x00 && value.data[0] != 0xff))
            return false;
        *(bool *)at = value.data[0] != 0;
        return true;
    case KIND_SEQUENCE:
        break;
    }
    return false;
}

/* Which of a table's members this OID names: its arcs are those of the table and one more. -1: none. */
static int member_index(struct bytes oid, struct bytes prefix, size_t count)
{
    if (oid.len != prefix.len + 1 || memcmp(oid.data, prefix.data, prefix.len) != 0)
        return -1;
    uint8_t last = oid.data[prefix.len];
    return last >= 1 && last <= count ? last - 1 : -1;
}

/* Walks one level of {OID, value}; *ret_seen has a bit for each member of the table that was there.
 * Values that are sequences are left to the caller in ret_inner. */
static bool walk(struct bytes sequence, struct bytes prefix, const struct member *table,
    size_t count, struct pck_extension *out, uint32_t *ret_seen, struct bytes ret_inner[],
    struct err *err)
{
    size_t walked = 0;
    *ret_seen = 0;
    while (sequence.len > 0) {
        struct bytes pair, oid, value;
        uint8_t tag = 0;
        if (++walked > MEMBERS_MAX || !take_tagged(&sequence, TAG_SEQUENCE, &pair) ||
            !take_tagged(&pair, TAG_OID, &oid) || !take_element(&pair, &tag, &value) ||
            pair.len > 0)
            return err_set(err, ERR_FORMAT, "SGX extension: not a sequence of {OID, value}");
        int index = member_index(oid, prefix, count);
        if (index < 0)
            continue;
        const struct member *member = &table[index];
        if (*ret_seen & 1u << index)
            return err_set(err, ERR_FORMAT, "SGX extension: %s comes twice", member->name);
        *ret_seen |= 1u << index;
        if (member->kind == KIND_SEQUENCE)
            ret_inner[index] = value;
        if (tag != tag_of(member->kind) ||
            (member->kind != KIND_SEQUENCE && !store(member, value, out)))
            return err_set(
                err, ERR_FORMAT, "SGX extension: %s is not what it has to be", member->name);
    }
    return true;
}

static bool walk_inner(int index, struct bytes sequence, struct pck_extension *out,
    uint32_t *ret_seen, struct err *err)
{
    uint8_t prefix[sizeof arc + 1];
    memcpy(prefix, arc, sizeof arc);
    prefix[sizeof arc] = (uint8_t)(index + 1);
    return walk(sequence, bytes_of(prefix, sizeof prefix), members[index].members,
        members[index].size, out, ret_seen, NULL, err);
}

bool pck_extension_parse(struct bytes der, struct pck_extension *ret_extension, struct err *err)
{
    static const uint32_t needed = 1u << MEMBER_PPID | 1u << MEMBER_TCB | 1u << MEMBER_PCEID |
                                   1u << MEMBER_FMSPC | 1u << MEMBER_TYPE;
    struct pck_extension extension = {0};
    struct bytes whole, inner[ARRAY_LEN(members)] = {0};
    uint32_t seen = 0, seen_tcb = 0, seen_configuration = 0;
    if (!take_tagged(&der, TAG_SEQUENCE, &whole) || der.len > 0)
        return err_set(err, ERR_FORMAT, "SGX extension: not one SEQUENCE");
    if (!walk(whole, bytes_of(arc, sizeof arc), members, ARRAY_LEN(members), &extension, &seen,
            inner, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (needed & ~seen & 1u << i)
            return err_set(err, ERR_FORMAT, "SGX extension: no %s", members[i].name);
    if (!walk_inner(MEMBER_TCB, inner[MEMBER_TCB], &extension, &seen_tcb, err) ||
        !walk_inner(MEMBER_CONFIGURATION, inner[MEMBER_CONFIGURATION], &extension,
            &seen_configuration, err))
        return false;
    if (seen_tcb != (1u << ARRAY_LEN(tcb_members)) - 1)
        return err_set(err, ERR_FORMAT, "SGX extension: the TCB lacks a component");
    extension.has_instance_id = seen & 1u << MEMBER_INSTANCE;
    extension.has_configuration = seen & 1u << MEMBER_CONFIGURATION;
    *ret_extension = extension;
    return true;
}

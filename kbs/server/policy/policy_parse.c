/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "kbs/server/policy/policy_rules.h"

#define LINE_MAX_LEN  1000
#define WORDS_MAX     128
#define CLAIM_MAX     200
#define WORD_CHARS    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
#define SEGMENT_CHARS WORD_CHARS ".*?"

struct words {
    char text[LINE_MAX_LEN + 2]; /* the words, each with a NUL */
    size_t used;
    const char *items[WORDS_MAX];
    bool quoted[WORDS_MAX];
    size_t count, next;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Copies one word; *at moves behind it. A quoted word ends at its quote, another at a blank or a
 * comment. */
static bool take_word(struct words *words, struct bytes line, size_t *at, struct err *err)
{
    bool quoted = line.data[*at] == '"';
    size_t end = *at + quoted;
    char *out = words->text + words->used;
    if (words->count == WORDS_MAX)
        return err_set(err, ERR_FORMAT, "more than %d words", WORDS_MAX);
    words->items[words->count] = out;
    words->quoted[words->count++] = quoted;
    for (; end < line.len && line.data[end] != '"'; end++) {
        if (!quoted && (is_blank(line.data[end]) || line.data[end] == '#'))
            break;
        *out++ = (char)line.data[end];
    }
    *out = '\0';
    words->used = (size_t)(out + 1 - words->text);
    if (quoted && end == line.len)
        return err_set(err, ERR_FORMAT, "the quote is not closed");
    end += quoted;
    if (end < line.len && !is_blank(line.data[end]) && line.data[end] != '#')
        return err_set(err, ERR_FORMAT, "a blank is missing before or after a quote");
    *at = end;
    return true;
}

static bool split(struct bytes line, struct words *words, struct err *err)
{
    if (line.len > LINE_MAX_LEN)
        return err_set(
            err, ERR_FORMAT, "%zu characters; at most %d are taken", line.len, LINE_MAX_LEN);
    words->used = words->count = words->next = 0;
    for (size_t i = 0; i < line.len; i++)
        if (!is_blank(line.data[i]) && iscntrl(line.data[i]))
            return err_set(err, ERR_FORMAT, "a control character (0x%02x)", line.data[i]);
    for (size_t at = 0; at < line.len && line.data[at] != '#';) {
        if (is_blank(line.data[at]))
            at++;
        else if (!take_word(words, line, &at, err))
            return false;
    }
    return true;
}

static bool at_end(const struct words *words)
{
    return words->next == words->count;
}

/* The next word, which must be there and not be quoted. */
static const char *word(struct words *words, const char *wanted, struct err *err)
{
    if (at_end(words)) {
        err_set(err, ERR_FORMAT, "%s is missing at the end", wanted);
        return NULL;
    }
    if (words->quoted[words->next]) {
        err_set(err, ERR_FORMAT, "%s is expected, not the text \"%.40s\"", wanted,
            words->items[words->next]);
        return NULL;
    }
    return words->items[words->next++];
}

static bool keyword(struct words *words, const char *wanted, struct err *err)
{
    const char *found = word(words, wanted, err);
    if (!found)
        return false;
    return strcmp(found, wanted) == 0 ||
           err_set(err, ERR_FORMAT, "\"%s\" is expected, not \"%.40s\"", wanted, found);
}

static bool copy(const char *text, char **ret_text, struct err *err)
{
    char *copied = strdup(text);
    if (!copied)
        return err_nomem(err);
    *ret_text = copied;
    return true;
}

static bool check_pattern(const char *pattern, struct err *err)
{
    int segments = 0;
    for (const char *at = pattern;; at++) {
        size_t len = strspn(at, SEGMENT_CHARS);
        bool rest = len == 2 && strncmp(at, "**", 2) == 0;
        if (len == 0 || len > KBS_SEGMENT_MAX || (at[len] != '/' && at[len] != '\0'))
            return err_set(err, ERR_FORMAT,
                "pattern \"%.80s\": segments of letters, digits and \"_.-*?\" joined by '/'",
                pattern);
        if ((!rest && strstr(at, "**") && strstr(at, "**") < at + len) || (rest && at[len] == '/'))
            return err_set(err, ERR_FORMAT,
                "pattern \"%.80s\": \"**\" stands alone and last; use \"*\" within a segment",
                pattern);
        segments++;
        at += len;
        if (*at == '/')
            continue;
        if (segments > 3 || (segments < 3 && !rest))
            return err_set(err, ERR_FORMAT,
                "pattern \"%.80s\" has %d segments; a resource has three (repository/type/tag, or "
                "\"**\" for the rest)",
                pattern, segments);
        return true;
    }
}

static bool parse_number(const char *text, int64_t *ret_number)
{
    char *end;
    errno = 0;
    if (text[strspn(text, "-0123456789")] != '\0')
        return false;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return false;
    *ret_number = number;
    return true;
}

static bool parse_status(struct words *words, struct condition *condition, struct err *err)
{
    const char *name = word(words, "affirming, warning, none or contraindicated", err);
    if (!name)
        return false;
    condition->number = policy_status_rank(name);
    return condition->number >= 0 ||
           err_set(err, ERR_FORMAT,
               "status \"%.40s\"; affirming, warning, none and contraindicated are known", name);
}

static const char *const vector_members[] = {"instance-identity", "configuration", "executables",
    "file-system", "hardware", "runtime-opaque", "storage-opaque", "sourced-data"};

static bool parse_tier(struct words *words, struct condition *condition, struct err *err)
{
    const char *member = word(words, "a member of the trust vector", err);
    if (!member)
        return false;
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(vector_members); i++)
        known = known || strcmp(vector_members[i], member) == 0;
    if (!known)
        return err_set(err, ERR_FORMAT,
            "tier \"%.40s\"; instance-identity, configuration, executables, file-system, hardware, "
            "runtime-opaque, storage-opaque and sourced-data are known",
            member);
    if (!copy(member, &condition->text, err) || !keyword(words, "<=", err))
        return false;
    const char *bound = word(words, "a number", err);
    if (!bound)
        return false;
    if (!parse_number(bound, &condition->number) || condition->number < 2 ||
        condition->number > 127)
        return err_set(
            err, ERR_FORMAT, "tier %s <= \"%.40s\": a number from 2 to 127", member, bound);
    return true;
}

static bool parse_tee(struct words *words, struct condition *condition, struct err *err)
{
    const char *name = word(words, "the name of a TEE", err);
    if (!name)
        return false;
    if (name[strspn(name, WORD_CHARS)] != '\0')
        return err_set(err, ERR_FORMAT, "\"%.40s\" is no name of a TEE", name);
    return copy(name, &condition->text, err);
}

static bool parse_value(struct words *words, struct condition *condition, struct err *err)
{
    if (at_end(words))
        return err_set(err, ERR_FORMAT, "a value is missing after '='");
    bool quoted = words->quoted[words->next];
    const char *text = words->items[words->next++];
    int64_t number;
    if (quoted)
        condition->value = json_string(text);
    else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        condition->value = json_boolean(*text == 't');
    else if (parse_number(text, &number))
        condition->value = json_integer(number);
    else
        return err_set(err, ERR_FORMAT,
            "\"%.40s\" after '=': \"quoted text\", an integer, true or false is expected", text);
    return condition->value || err_set(err, ERR_FORMAT, "the text after '=' is not UTF-8");
}

static bool parse_reference(struct words *words, struct condition *condition, struct err *err)
{
    if (!keyword(words, "reference-value", err))
        return false;
    const char *name = word(words, "the name of a reference value", err);
    if (!name)
        return false;
    if (!store_key_ok(name))
        return err_set(err, ERR_FORMAT, "\"%.80s\" is no name of a reference value", name);
    return copy(name, &condition->text, err);
}

static bool check_claim(const char *claim, struct err *err)
{
    bool ok = strlen(claim) <= CLAIM_MAX && claim[0] != '\0';
    for (const char *at = claim; ok; at++) {
        size_t len = strspn(at, WORD_CHARS);
        at += len;
        ok = len > 0 && (*at == '.' || *at == '\0');
        if (*at == '\0')
            break;
    }
    return ok ||
           err_set(err, ERR_FORMAT,
               "\"%.80s\" is neither a condition (status, tee, tier) nor a claim, which is a path "
               "such as tpm.pcr07",
               claim);
}

/* CLAIM = VALUE | CLAIM in reference-value NAME | CLAIM present */
static bool parse_claim(
    struct words *words, const char *claim, struct condition *condition, struct err *err)
{
    if (!check_claim(claim, err) || !copy(claim, &condition->claim, err))
        return false;
    const char *operator= word(words, "=, in or present", err);
    if (!operator)
        return false;
    if (strcmp(operator, "present") == 0) {
        condition->kind = CONDITION_PRESENT;
        return true;
    }
    if (strcmp(operator, "in") == 0) {
        condition->kind = CONDITION_REFERENCE;
        return parse_reference(words, condition, err);
    }
    condition->kind = CONDITION_EQUALS;
    if (strcmp(operator, "=") == 0)
        return parse_value(words, condition, err);
    return err_set(
        err, ERR_FORMAT, "\"%.40s\" after %s; =, in or present is expected", operator, claim);
}

static bool parse_condition(struct words *words, struct condition *condition, struct err *err)
{
    static const struct {
        const char *name;
        enum condition_kind kind;
        bool (*parse)(struct words *words, struct condition *condition, struct err *err);
    } kinds[] = {
        {"status", CONDITION_STATUS, parse_status},
        {"tee", CONDITION_TEE, parse_tee},
        {"tier", CONDITION_TIER, parse_tier},
    };
    const char *first = word(words, "a condition", err);
    if (!first)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(first, kinds[i].name) == 0) {
            condition->kind = kinds[i].kind;
            return kinds[i].parse(words, condition, err);
        }
    }
    return parse_claim(words, first, condition, err);
}

static bool parse_conditions(struct words *words, struct rule *rule, struct err *err)
{
    if (!keyword(words, "if", err))
        return false;
    for (;;) {
        if (rule->condition_count == CONDITIONS_MAX)
            return err_set(err, ERR_FORMAT, "more than %d conditions", CONDITIONS_MAX);
        /* Counted first, so that what a half-parsed condition holds is freed with the rule. */
        if (!parse_condition(words, &rule->conditions[rule->condition_count++], err))
            return false;
        if (at_end(words))
            return true;
        if (!keyword(words, "and", err))
            return false;
    }
}

static bool parse_rule(struct words *words, struct rule *rule, struct err *err)
{
    const char *verb = word(words, "allow or deny", err);
    if (!verb)
        return false;
    rule->allow = strcmp(verb, "allow") == 0;
    if (strcmp(verb, "package") == 0)
        return err_set(err, ERR_FORMAT,
            "this is Rego, which this server does not take; write rules such as \"allow team/** if "
            "status affirming\" (RESOURCE POLICY in sealed-kbs(8))");
    if (!rule->allow && strcmp(verb, "deny") != 0)
        return err_set(
            err, ERR_FORMAT, "\"%.40s\" at the beginning; allow or deny is expected", verb);
    const char *pattern = word(words, "a pattern", err);
    if (!pattern || !check_pattern(pattern, err) || !copy(pattern, &rule->pattern, err))
        return false;
    return at_end(words) || parse_conditions(words, rule, err);
}

/* The rule as written, without comment, with single blanks. */
static bool rule_text(const struct words *words, char **ret_text, struct err *err)
{
    auto_buf text = BUF_INIT(2 * LINE_MAX_LEN);
    for (size_t i = 0; i < words->count; i++) {
        const char *quote = words->quoted[i] ? "\"" : "";
        if (!buf_printf(&text, err, "%s%s%s%s", i > 0 ? " " : "", quote, words->items[i], quote))
            return false;
    }
    char *taken = buf_take_text(&text);
    if (!taken)
        return err_nomem(err);
    *ret_text = taken;
    return true;
}

static bool add_line(struct policy *policy, struct bytes line, int number, struct err *err)
{
    struct words words;
    if (!split(line, &words, err))
        return false;
    if (words.count == 0)
        return true;
    if (policy->count == POLICY_RULES_MAX)
        return err_set(err, ERR_FORMAT, "more than %d rules", POLICY_RULES_MAX);
    if (policy->count == policy->size) {
        size_t size = policy->size ? 2 * policy->size : 8;
        struct rule *rules = reallocarray(policy->rules, size, sizeof *rules);
        if (!rules)
            return err_nomem(err);
        policy->rules = rules;
        policy->size = size;
    }
    struct rule *rule = &policy->rules[policy->count++];
    *rule = (struct rule){.line = number};
    return rule_text(&words, &rule->text, err) && parse_rule(&words, rule, err);
}

bool policy_parse(struct bytes text, struct policy **ret_policy, struct err *err)
{
    if (text.len > POLICY_TEXT_MAX)
        return err_set(err, ERR_FORMAT, "policy of %zu bytes; at most %d are taken", text.len,
            POLICY_TEXT_MAX);
    auto_policy *policy = calloc(1, sizeof *policy);
    if (!policy)
        return err_nomem(err);
    for (int number = 1; text.len > 0; number++) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.data) : text.len;
        if (!add_line(policy, bytes_of(text.data, len), number, err))
            return err_wrap(err, "policy line %d", number);
        text = bytes_slice(text, newline ? len + 1 : len, text.len);
    }
    *ret_policy = take_ptr(policy);
    return true;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < policy->count; i++) {
        struct rule *rule = &policy->rules[i];
        for (size_t j = 0; j < rule->condition_count; j++) {
            free(rule->conditions[j].claim);
            free(rule->conditions[j].text);
            json_unref(rule->conditions[j].value);
        }
        free(rule->pattern);
        free(rule->text);
    }
    free(policy->rules);
    free(policy);
}

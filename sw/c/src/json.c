#include "json.h"

#include <string.h>

#define SEEN_ALL(count) ((UINT32_C(1) << (count)) - 1)

ssvq_json_t ssvq_json(ssvq_text_t text)
{
    return (ssvq_json_t){text.start, text.start + text.size, NULL};
}

void ssvq_json_reject(ssvq_json_t *json, const char *expected)
{
    if (json->wrong == NULL) {
        json->wrong = expected;
    }
}

/* The next character that is no space, 0 at the end and after an error. */
static char peek(ssvq_json_t *json)
{
    if (json->wrong != NULL) {
        return '\0';
    }
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r')) {
        ++json->at;
    }
    return json->at < json->end ? *json->at : '\0';
}

bool ssvq_json_ahead(ssvq_json_t *json, char wanted)
{
    return peek(json) == wanted;
}

void ssvq_json_expect(ssvq_json_t *json, char wanted, const char *name)
{
    if (peek(json) == wanted && wanted != '\0') {
        ++json->at;
    } else {
        ssvq_json_reject(json, name);
    }
}

size_t ssvq_json_member(ssvq_json_t *json, const char *const *keys, size_t count, uint32_t *seen)
{
    if (peek(json) == '}' && *seen == SEEN_ALL(count)) {
        ++json->at;
        return count;
    }
    if (*seen != 0) {
        ssvq_json_expect(json, ',', "a comma and another key of this object");
    }
    const ssvq_text_t key = ssvq_json_string(json);
    ssvq_json_expect(json, ':', "a colon");
    for (size_t i = 0; i < count && json->wrong == NULL; ++i) {
        if (strlen(keys[i]) == key.size && memcmp(keys[i], key.start, key.size) == 0 && (*seen >> i & 1) == 0) {
            *seen |= UINT32_C(1) << i;
            return i;
        }
    }
    ssvq_json_reject(json, "each key of this object once, and no other");
    return count;
}

bool ssvq_json_element(ssvq_json_t *json, bool *first)
{
    const bool begins = *first;
    *first = false;
    if (peek(json) == ']') {
        ++json->at;
        return false;
    }
    if (!begins) {
        ssvq_json_expect(json, ',', "a comma or the end of an array");
    }
    return json->wrong == NULL;
}

bool ssvq_json_null(ssvq_json_t *json)
{
    static const char null[] = {'n', 'u', 'l', 'l'};
    if (peek(json) != 'n' || (size_t)(json->end - json->at) < sizeof null || memcmp(json->at, null, sizeof null) != 0) {
        return false;
    }
    json->at += sizeof null;
    return true;
}

int ssvq_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Characters of an escape from its backslash, 0 when it is none. */
static size_t escape_size(const char *at, size_t left)
{
    if (left < 2) {
        return 0;
    }
    if (at[1] != 'u') {
        return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL ? 2 : 0;
    }
    for (size_t i = 2; i < 6; ++i) {
        if (i >= left || ssvq_hex_digit(at[i]) < 0) {
            return 0;
        }
    }
    return 6;
}

ssvq_text_t ssvq_json_string(ssvq_json_t *json)
{
    ssvq_json_expect(json, '"', "a string");
    const char *start = json->at;
    while (json->wrong == NULL && json->at < json->end && *json->at != '"') {
        const size_t size = *json->at == '\\' ? escape_size(json->at, (size_t)(json->end - json->at)) : 1;
        if (size == 0 || (unsigned char)*json->at < ' ') {
            ssvq_json_reject(json, "characters of a string");
        }
        json->at += size;
    }
    const ssvq_text_t text = {start, (size_t)(json->at - start)};
    ssvq_json_expect(json, '"', "the end of a string");
    return json->wrong == NULL ? text : (ssvq_text_t){start, 0};
}

static size_t skip_digits(ssvq_json_t *json)
{
    size_t count = 0;
    for (; json->at < json->end && is_digit(*json->at); ++json->at) {
        ++count;
    }
    return count;
}

static bool skip_one_of(ssvq_json_t *json, char first, char second)
{
    const bool found = json->at < json->end && (*json->at == first || *json->at == second);
    json->at += found;
    return found;
}

ssvq_text_t ssvq_json_number(ssvq_json_t *json)
{
    static const char number[] = "a number";
    (void)peek(json);
    const char *start = json->at;
    if (json->wrong == NULL) {
        (void)skip_one_of(json, '-', '-');
        const bool zero = json->at < json->end && *json->at == '0';
        const size_t digits = skip_digits(json);
        if (digits == 0 || (zero && digits > 1)) {
            ssvq_json_reject(json, number);
        }
        if (skip_one_of(json, '.', '.') && skip_digits(json) == 0) {
            ssvq_json_reject(json, number);
        }
        if (skip_one_of(json, 'e', 'E')) {
            (void)skip_one_of(json, '+', '-');
            if (skip_digits(json) == 0) {
                ssvq_json_reject(json, number);
            }
        }
    }
    return (ssvq_text_t){start, json->wrong == NULL ? (size_t)(json->at - start) : 0};
}

/* The value of a number's text, which may have no sign, fraction or exponent. */
static uint64_t whole(ssvq_json_t *json, ssvq_text_t digits, uint64_t most)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size && json->wrong == NULL; ++i) {
        const uint64_t digit = (uint64_t)digits.start[i] - '0';
        if (!is_digit(digits.start[i]) || digit > most || value > (most - digit) / 10) {
            json->at = digits.start;
            ssvq_json_reject(json, "a whole number in its range");
            return 0;
        }
        value = 10 * value + digit;
    }
    return value;
}

uint64_t ssvq_json_unsigned(ssvq_json_t *json, uint64_t most)
{
    return whole(json, ssvq_json_number(json), most);
}

int32_t ssvq_json_signed(ssvq_json_t *json)
{
    const ssvq_text_t text = ssvq_json_number(json);
    const size_t sign = text.size > 0 && *text.start == '-';
    const int32_t value = (int32_t)whole(json, (ssvq_text_t){text.start + sign, text.size - sign}, INT32_MAX);
    return sign ? -value : value;
}

ssvq_text_t ssvq_json_positive(ssvq_json_t *json)
{
    const ssvq_text_t text = ssvq_json_number(json);
    for (size_t i = 0; i < text.size && text.start[i] != 'e' && text.start[i] != 'E' && text.start[0] != '-'; ++i) {
        if (text.start[i] >= '1' && text.start[i] <= '9') {
            return text;
        }
    }
    ssvq_json_reject(json, "a positive number");
    return (ssvq_text_t){text.start, 0};
}

void ssvq_json_finish(ssvq_json_t *json)
{
    if (peek(json) != '\0' || json->at != json->end) {
        ssvq_json_reject(json, "the end");
    }
}

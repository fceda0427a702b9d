/* Reading JSON where it is. Once something is wrong, `wrong` says what was expected, and nothing more is read. */
#ifndef SSVQ_SRC_JSON_H
#define SSVQ_SRC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ssvq_failure.h"

typedef struct {
    const char *at;
    const char *end;
    const char *wrong; /* a constant, NULL while all is well */
} ssvq_json_t;

ssvq_json_t ssvq_json(ssvq_text_t text);

/* Say that something else was expected here. */
void ssvq_json_reject(ssvq_json_t *json, const char *expected);

/* Whether the next character that is no space is this one. */
bool ssvq_json_ahead(ssvq_json_t *json, char wanted);

/* Read one of the characters of JSON's structure. */
void ssvq_json_expect(ssvq_json_t *json, char wanted, const char *name);

/* Go to the next member of an object, whose brace has been read, and read its key: its number in `keys`. Returns
   `count` at the closing brace. Each key must be there exactly once, and no other. `seen` begins as 0. */
size_t ssvq_json_member(ssvq_json_t *json, const char *const *keys, size_t count, uint32_t *seen);

/* Go to the next element of an array, whose bracket has been read; false at the closing one. `first` begins as true. */
bool ssvq_json_element(ssvq_json_t *json, bool *first);

/* Read `null`, if it is there. */
bool ssvq_json_null(ssvq_json_t *json);

/* Values; in case of an error 0 or an empty text. A string without its quotes, an integer up to `most`, and
   one of 32 bits with a sign. */
ssvq_text_t ssvq_json_string(ssvq_json_t *json);
ssvq_text_t ssvq_json_number(ssvq_json_t *json);
ssvq_text_t ssvq_json_positive(ssvq_json_t *json);
uint64_t ssvq_json_unsigned(ssvq_json_t *json, uint64_t most);
int32_t ssvq_json_signed(ssvq_json_t *json);

/* Nothing but spaces may be left. */
void ssvq_json_finish(ssvq_json_t *json);

/* The value of a hexadecimal digit, -1 for other characters. */
int ssvq_hex_digit(char c);

/* The UTF-8 bytes of a string's characters one after the other. */
typedef struct {
    ssvq_text_t rest;
    uint8_t bytes[4];
    size_t count;
} ssvq_json_bytes_t;

ssvq_json_bytes_t ssvq_json_bytes(ssvq_text_t string);

/* The next byte, -1 at the end. */
int ssvq_json_next_byte(ssvq_json_bytes_t *reader);

/* Whether two strings are the same characters. */
bool ssvq_json_same(ssvq_text_t first, ssvq_text_t second);

#endif

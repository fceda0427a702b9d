#include "failure.h"

#include <string.h>

#include "ssvq.h"

typedef struct {
    char *buffer;
    size_t size;
    size_t length;
} writer_t;

static void put(writer_t *writer, const char *text, size_t size)
{
    for (size_t i = 0; i < size; ++i, ++writer->length) {
        if (writer->length + 1 < writer->size) {
            writer->buffer[writer->length] = text[i];
        }
    }
}

static void put_text(writer_t *writer, const char *text)
{
    put(writer, text, strlen(text));
}

static void put_number(writer_t *writer, uint64_t value, unsigned base)
{
    char digits[20]; /* of 2**64 - 1 */
    size_t first = sizeof digits;
    do {
        digits[--first] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put_text(writer, base == 16 ? "0x" : "");
    put(writer, digits + first, sizeof digits - first);
}

static void put_code(writer_t *writer, uint32_t code)
{
#define SSVQ_CODE_CASE(name, meaning) \
    case SSVQ_ERROR_CODE_##name: \
        put_text(writer, meaning " (" #name ")"); \
        return;
    switch (code) {
        SSVQ_ERROR_CODES(SSVQ_CODE_CASE)
    default:
        put_text(writer, "unknown error code ");
        put_number(writer, code, 10);
    }
#undef SSVQ_CODE_CASE
}

static void put_opcode(writer_t *writer, uint32_t opcode)
{
    const char *name = ssvq_opcode_name(opcode);
    if (name != NULL) {
        put_text(writer, name);
        return;
    }
    put_text(writer, "opcode ");
    put_number(writer, opcode, 10);
}

size_t ssvq_failure_text(const ssvq_failure_t *failure, char *buffer, size_t size)
{
    writer_t writer = {buffer, size, 0};
    const char *at = failure->format != NULL ? failure->format : ssvq_result_meaning(failure->result);
    size_t next = 0;
    for (; *at != '\0'; ++at) {
        if (*at != '%') {
            put(&writer, at, 1);
            continue;
        }
        ++at;
        if (*at == 't') {
            put(&writer, failure->text.start, failure->text.size);
        } else if (*at == 'o') {
            put_opcode(&writer, failure->opcode);
        } else if (*at == 'e') {
            put_code(&writer, failure->code);
        } else {
            put_number(&writer, failure->values[next++], *at == 'x' ? 16 : 10);
        }
    }
    if (size > 0) {
        buffer[writer.length < size ? writer.length : size - 1] = '\0';
    }
    return writer.length;
}

ssvq_result_t ssvq_fail(ssvq_failure_t *failure, ssvq_result_t result, const char *format, uint64_t first,
                        uint64_t second)
{
    *failure = (ssvq_failure_t){.result = result, .format = format, .values = {first, second, 0}};
    return result;
}

ssvq_result_t ssvq_succeed(ssvq_failure_t *failure)
{
    *failure = (ssvq_failure_t){.result = SSVQ_OK};
    return SSVQ_OK;
}

const char *ssvq_result_name(ssvq_result_t result)
{
#define SSVQ_NAME_CASE(name, meaning) \
    case SSVQ_##name: \
        return #name;
    switch (result) {
        SSVQ_RESULTS(SSVQ_NAME_CASE)
    }
#undef SSVQ_NAME_CASE
    return "?";
}

const char *ssvq_result_meaning(ssvq_result_t result)
{
#define SSVQ_MEANING_CASE(name, meaning) \
    case SSVQ_##name: \
        return meaning;
    switch (result) {
        SSVQ_RESULTS(SSVQ_MEANING_CASE)
    }
#undef SSVQ_MEANING_CASE
    return "?";
}

const char *ssvq_opcode_name(uint32_t opcode)
{
#define SSVQ_OPCODE_CASE(name) \
    case SSVQ_OPCODE_##name: \
        return #name;
    switch (opcode) {
        SSVQ_OPCODES(SSVQ_OPCODE_CASE)
    }
#undef SSVQ_OPCODE_CASE
    return NULL;
}

const char *ssvq_counter_name(enum ssvq_counter counter)
{
#define SSVQ_COUNTER_CASE(name) \
    case SSVQ_COUNTER_##name: \
        return #name;
    switch (counter) {
        SSVQ_CYCLE_COUNTERS(SSVQ_COUNTER_CASE)
        SSVQ_TRAFFIC_COUNTERS(SSVQ_COUNTER_CASE)
    case SSVQ_COUNTER_COUNT:
        break;
    }
#undef SSVQ_COUNTER_CASE
    return "?";
}

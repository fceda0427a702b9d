/* The characters of JSON strings. */

#include <string.h>

#include "json.h"

ssvq_json_bytes_t ssvq_json_bytes(ssvq_text_t string)
{
    return (ssvq_json_bytes_t){.rest = string};
}

static uint32_t hex_code(const char *at)
{
    uint32_t code = 0;
    for (size_t i = 2; i < 6; ++i) {
        code = code << 4 | (uint32_t)ssvq_hex_digit(at[i]);
    }
    return code;
}

/* Keep the UTF-8 bytes of a code point, the last one first. */
static void keep(ssvq_json_bytes_t *reader, uint32_t code)
{
    static const uint8_t leads[] = {0x00, 0xC0, 0xE0, 0xF0};
    const size_t following = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    for (size_t i = 0; i < following; ++i) {
        reader->bytes[reader->count++] = (uint8_t)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    reader->bytes[reader->count++] = (uint8_t)(leads[following] | code);
}

static void take(ssvq_json_bytes_t *reader, size_t size)
{
    reader->rest.start += size;
    reader->rest.size -= size;
}

static void take_escape(ssvq_json_bytes_t *reader)
{
    static const char letters[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    const char *at = reader->rest.start;
    const char *letter = strchr(letters, at[1]);
    if (at[1] != 'u') {
        keep(reader, (unsigned char)(letter != NULL ? meanings[letter - letters] : at[1]));
        take(reader, 2);
        return;
    }
    uint32_t code = hex_code(at);
    take(reader, 6);
    const bool high = code >= 0xD800 && code < 0xDC00;
    if (high && reader->rest.size >= 6 && reader->rest.start[0] == '\\' && reader->rest.start[1] == 'u') {
        const uint32_t low = hex_code(reader->rest.start);
        if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
            take(reader, 6);
        }
    }
    keep(reader, code);
}

int ssvq_json_next_byte(ssvq_json_bytes_t *reader)
{
    if (reader->count == 0) {
        if (reader->rest.size == 0) {
            return -1;
        }
        if (*reader->rest.start == '\\') {
            take_escape(reader);
        } else {
            reader->bytes[reader->count++] = (uint8_t)*reader->rest.start;
            take(reader, 1);
        }
    }
    return reader->bytes[--reader->count];
}

bool ssvq_json_same(ssvq_text_t first, ssvq_text_t second)
{
    ssvq_json_bytes_t one = ssvq_json_bytes(first), other = ssvq_json_bytes(second);
    for (;;) {
        const int byte = ssvq_json_next_byte(&one);
        if (byte != ssvq_json_next_byte(&other)) {
            return false;
        }
        if (byte < 0) {
            return true;
        }
    }
}

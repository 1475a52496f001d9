/* The strict RIG grammar in C99: the annotations of a text in UTF-8, one after the other. Nothing is copied or allocated.
 *
 *   struct rig_annotation found;
 *   for (size_t at = 0; rig_next(text, length, at, &found); at = found.end) ...
 *
 * Linear in the length of the text: no string holds a quote, so a candidate that fails is read again up to its quote at most. */

#ifndef RIG_PARSER_H
#define RIG_PARSER_H

#include <string.h>

/* All but the lengths count bytes from the beginning of the text; `end` is past the bracket. */
struct rig_annotation { size_t start, end, query, query_length, value, value_length; };

static int rig_is_control(char c) { return (unsigned char)c < 0x20 || c == 0x7F; }

static int rig_starts_with(const char *text, const char *end, const char *literal) {
    size_t length = strlen(literal);
    return (size_t)(end - text) >= length && memcmp(text, literal, length) == 0;
}

/* How many bytes the White_Space character at `text` takes; 0 where there is none. */
static size_t rig_space(const char *text, const char *end) {
    static const char *const SPACES[] = {
        "\t", "\n", "\v", "\f", "\r", " ", "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
        "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89",
        "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
    for (size_t i = 0; i < sizeof SPACES / sizeof *SPACES; i++)
        if (rig_starts_with(text, end, SPACES[i])) return strlen(SPACES[i]);
    return 0;
}

static const char *rig_after_spaces(const char *text, const char *end) {
    for (size_t length; (length = rig_space(text, end)) > 0; text += length) {}
    return text;
}

/* The first quote or control character. */
static const char *rig_string_end(const char *text, const char *end) {
    while (text < end && *text != '"' && !rig_is_control(*text)) text++;
    return text;
}

/* Whether an annotation begins at `from` or later; the first of them. */
static int rig_next(const char *text, size_t length, size_t from, struct rig_annotation *found) {
    static const char OPEN[] = "[__DC__(\"", ARROW[] = "\") --> \"", CLOSE[] = "\"]";
    const char *end = text + length;
    for (const char *at = text + from; at < end; at++) {
        const char *query, *query_end, *value, *value_end;
        if (!rig_starts_with(at, end, OPEN)) continue;
        query = at + strlen(OPEN);
        query_end = rig_string_end(query, end);
        if (rig_after_spaces(query, query_end) == query_end || !rig_starts_with(query_end, end, ARROW)) continue;
        value = query_end + strlen(ARROW);
        value_end = rig_string_end(value, end);
        if (!rig_starts_with(value_end, end, CLOSE)) continue;
        found->start = (size_t)(at - text);
        found->end = (size_t)(value_end - text) + strlen(CLOSE);
        found->query = (size_t)(query - text);
        found->query_length = (size_t)(query_end - query);
        found->value = (size_t)(value - text);
        found->value_length = (size_t)(value_end - value);
        return 1;
    }
    return 0;
}

#endif

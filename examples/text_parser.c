/* A parser of RIG and RAG answers in C99, spoken to in JSON lines; the strict profile only.
 *
 *   cc -O2 -o text_parser examples/text_parser.c
 *   pytest conformance --impl rig=cmd:./text_parser --impl rag=cmd:./text_parser
 *
 * It works on UTF-8 and counts bytes; the answer says so, and the driver converts. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig_parser.h"

enum { MAX_QUERIES = 25 };

static void *checked(void *memory) {
    if (!memory) { fputs("out of memory\n", stderr); exit(1); }
    return memory;
}

/* One line of standard input without its end, or NULL; the caller frees it. */
static char *read_line(void) {
    size_t length = 0, room = 4096;
    char *line = checked(malloc(room));
    int c;
    while ((c = getchar()) != EOF && c != '\n') {
        if (length + 1 == room) line = checked(realloc(line, room *= 2));
        line[length++] = (char)c;
    }
    if (c == EOF && length == 0) { free(line); return NULL; }
    line[length] = '\0';
    return line;
}

/* What stands after "key": in a flat JSON object whose keys come before any text that could resemble them. */
static const char *field(const char *line, const char *key) {
    const char *found = strstr(line, key);
    if (!found) { fprintf(stderr, "no %s in the request\n", key); exit(2); }
    found += strlen(key);
    while (*found == ' ' || *found == ':') found++;
    return found;
}

static unsigned hex4(const char *digits) {
    char four[5] = {digits[0], digits[1], digits[2], digits[3], '\0'};
    return (unsigned)strtoul(four, NULL, 16);
}

static char *put_utf8(char *out, unsigned c) {
    if (c < 0x80) { *out++ = (char)c; return out; }
    if (c < 0x800) *out++ = (char)(0xC0 | c >> 6);
    else {
        if (c < 0x10000) *out++ = (char)(0xE0 | c >> 12);
        else { *out++ = (char)(0xF0 | c >> 18); *out++ = (char)(0x80 | (c >> 12 & 0x3F)); }
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
    }
    *out++ = (char)(0x80 | (c & 0x3F));
    return out;
}

/* The JSON string at `in`, as UTF-8, in memory of its own; U+0000 may stand in it, so the length is told. */
static char *json_string(const char *in, size_t *length) {
    char *text = checked(malloc(strlen(in) + 1)), *out = text;
    for (in++; *in && *in != '"'; in++) {
        if (*in != '\\') { *out++ = *in; continue; }
        switch (*++in) {
        case 'n': *out++ = '\n'; break;
        case 't': *out++ = '\t'; break;
        case 'r': *out++ = '\r'; break;
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'u': {
            unsigned c = hex4(in + 1);
            in += 4;
            if (c >= 0xD800 && c < 0xDC00) { c = 0x10000 + ((c - 0xD800) << 10) + (hex4(in + 3) - 0xDC00); in += 6; }
            out = put_utf8(out, c);
            break;
        }
        default: *out++ = *in;
        }
    }
    *length = (size_t)(out - text);
    return text;
}

static void print_string(const char *text, size_t length) {
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') printf("\\%c", c);
        else if (c < 0x20) printf("\\u%04x", c);
        else putchar(c);
    }
    putchar('"');
}

static const char *before_spaces(const char *text, const char *end) {
    for (;;) {
        const char *last = end;
        while (last > text && ((unsigned char)*--last & 0xC0) == 0x80) {}
        if (last == end || !rig_space(last, end)) return end;
        end = last;
    }
}

static void parse_rig(const char *text, size_t length) {
    struct rig_annotation found;
    const char *separator = "";
    printf("\"offsets\": \"utf8\", \"annotations\": [");
    for (size_t at = 0; rig_next(text, length, at, &found); at = found.end) {
        printf("%s{\"query\": ", separator);
        print_string(text + found.query, found.query_length);
        printf(", \"value\": ");
        print_string(text + found.value, found.value_length);
        printf(", \"start\": %lu, \"end\": %lu}", (unsigned long)found.start, (unsigned long)found.end);
        separator = ", ";
    }
    printf("]");
}

static int is_digit(const char *text, const char *end) { return text < end && *text >= '0' && *text <= '9'; }

static int has_list_marker(const char *text, const char *end) {
    const char *at = text;
    if (rig_starts_with(at, end, "\xE2\x80\xA2")) at += 3;
    else if (at < end && strchr("-*+", *at)) at++;
    else {
        int parenthesis = *at == '(';
        at += parenthesis;
        if (!is_digit(at, end)) return 0;
        at += is_digit(at + 1, end) ? 2 : 1;
        if (at == end || !(*at == ')' || (*at == '.' && !parenthesis))) return 0;
        at++;
    }
    return at == end || rig_space(at, end) > 0;
}

static void parse_rag(const char *text, size_t length) {
    struct { const char *text; size_t length; } found[MAX_QUERIES];
    const char *end = text + length, *next;
    int count = 0;
    for (const char *line = text; line < end && count < MAX_QUERIES; line = next) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line)), *query, *query_end, *c;
        int known = 0;
        next = line_end ? line_end + 1 : end;
        if (!line_end) line_end = end;
        query = rig_after_spaces(line, line_end);
        query_end = before_spaces(query, line_end);
        for (c = query; c < query_end && !rig_is_control(*c); c++) {}
        if (query == query_end || c < query_end || has_list_marker(query, query_end)) continue;
        for (int i = 0; i < count; i++)
            known |= found[i].length == (size_t)(query_end - query) && memcmp(found[i].text, query, found[i].length) == 0;
        if (known) continue;
        found[count].text = query;
        found[count++].length = (size_t)(query_end - query);
    }
    printf("\"queries\": [");
    for (int i = 0; i < count; i++) {
        if (i) printf(", ");
        print_string(found[i].text, found[i].length);
    }
    printf("]");
}

int main(void) {
    for (char *line; (line = read_line()); free(line)) {
        size_t length;
        char *text = json_string(field(line, "\"text\""), &length);
        printf("{\"id\": %ld, ", strtol(field(line, "\"id\""), NULL, 10));
        if (!rig_starts_with(field(line, "\"profile\""), line + strlen(line), "\"strict\""))
            printf("\"unsupported\": \"only the strict profile\"");
        else if (rig_starts_with(field(line, "\"system\""), line + strlen(line), "\"rig\"")) parse_rig(text, length);
        else parse_rag(text, length);
        puts("}");
        fflush(stdout);
        free(text);
    }
    return 0;
}

/* Puts the vectors of conformance/rig/vectors to a RIG parser in C. No dependencies, and no JSON.
 *
 *   cc -O2 -o vectors examples/vectors.c
 *   python -m conformance.rig vectors --flat | ./vectors
 *
 * To try a parser of your own, let `rig_next` be yours. Exit status 0 where all pass; each one that does not is a line with its
 * rule and the bug it is there to catch. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig_parser.h"

/* All of standard input, with a zero behind it. */
static char *read_all(void) {
    size_t length = 0, room = 1 << 16;
    char *text = malloc(room);
    while (text && (length += fread(text + length, 1, room - length - 1, stdin)) == room - 1) text = realloc(text, room *= 2);
    if (!text) { fputs("out of memory\n", stderr); exit(2); }
    text[length] = '\0';
    return text;
}

/* Replaces each \xHH by its byte, in place; how many bytes there are. */
static size_t unescape(char *field) {
    char *out = field;
    for (const char *in = field; *in; out++) {
        if (in[0] == '\\' && in[1] == 'x') {
            char digits[3] = {in[2], in[3], '\0'};
            *out = (char)strtoul(digits, NULL, 16);
            in += 4;
        } else *out = *in++;
    }
    return (size_t)(out - field);
}

/* Cuts a line at its tabs; how many fields there are, all of them strings. */
static int split(char *line, char *fields[], int most) {
    int count = 0;
    for (char *at = line; at && count < most; count++) {
        fields[count] = at;
        if ((at = strchr(at, '\t'))) *at++ = '\0';
    }
    return count;
}

static int same(const char *text, size_t length, char *field) {
    return unescape(field) == length && memcmp(text, field, length) == 0;
}

int main(void) {
    enum { MOST = 8 };
    char *all = read_all(), *next, *fields[MOST], *text = NULL;
    const char *id = "", *rule = "", *bug = "";
    size_t length = 0, at = 0;
    int passed = 0, failed = 0, right = 1;
    struct rig_annotation found;
    for (char *line = all; *line; line = next) {
        int count;
        next = strchr(line, '\n');
        if (!next) { fputs("found no line end at the end of the vectors\n", stderr); return 2; }
        *next++ = '\0';
        count = split(line, fields, MOST);
        if (strcmp(fields[0], "vector") == 0 && count == 5) {
            int read = strcmp(fields[1], "accept") == 0 || strcmp(fields[1], "reject") == 0;
            id = fields[2]; rule = fields[3]; bug = fields[4];
            text = read ? line : NULL;
            at = length = 0; right = 1;
        } else if (!text) {
            /* The other kinds are for parsers that do more than read. */
        } else if (strcmp(fields[0], "text") == 0 && count == 2) {
            text = fields[1];
            length = unescape(text);
        } else if (strcmp(fields[0], "strict") == 0 && count == 5) {
            right = right && rig_next(text, length, at, &found) && found.start == strtoul(fields[3], NULL, 10)
                && found.end == strtoul(fields[4], NULL, 10) && same(text + found.query, found.query_length, fields[1])
                && same(text + found.value, found.value_length, fields[2]);
            at = right ? found.end : length;
        } else if (fields[0][0] == '\0') {
            if (right && !rig_next(text, length, at, &found)) passed++;
            else { failed++; printf("%s %s: %s\n", rule, id, bug); }
            text = NULL;
        }
    }
    free(all);
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}

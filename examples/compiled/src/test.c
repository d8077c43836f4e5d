/* The shop's own test: a build of sources that do not pass it has no image. */
#include <assert.h>

#include "answer.h"

static int says(const char *request, int leaving, const char *status, const char *body)
{
    char out[512];
    int size = answer(request, leaving, out, sizeof out);
    return size == (int)strlen(out) && strncmp(out + 9, status, 3) == 0 && strcmp(strstr(out, "\r\n\r\n") + 4, body) == 0;
}

int main(void)
{
    assert(says("GET /version HTTP/1.0\r\n", 0, "200", VERSION "\n"));
    assert(says("GET /health HTTP/1.0\r\n", 0, "200", "well\n"));
    assert(says("GET /health HTTP/1.0\r\n", 1, "503", "leaving\n"));
    assert(says("GET /version HTTP/1.0\r\n", 1, "200", VERSION "\n"));
    assert(says("GET /hats HTTP/1.0\r\n", 0, "404", "No such page.\n"));
    assert(says("POST / HTTP/1.0\r\n", 0, "405", "GET only.\n"));
    puts("6 checks passed");
    return 0;
}

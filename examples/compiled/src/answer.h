/* What the shop answers: apart from sockets, so that a test can ask it. */
#include <stdio.h>
#include <string.h>

#ifndef VERSION
#define VERSION "development"
#endif

/* The whole answer to one request, into `out`. Its length. `leaving`: told to stop, so that the edge sends no more. */
static int answer(const char *request, int leaving, char *out, size_t size)
{
    const char *status = "200 OK", *body = "Hats.\n";
    if (strncmp(request, "GET ", 4) != 0) {
        status = "405 Method Not Allowed", body = "GET only.\n";
    } else if (strncmp(request + 4, "/version ", 9) == 0) {
        body = VERSION "\n";
    } else if (strncmp(request + 4, "/health ", 8) == 0) {
        status = leaving ? "503 Service Unavailable" : status, body = leaving ? "leaving\n" : "well\n";
    } else if (strncmp(request + 4, "/ ", 2) != 0) {
        status = "404 Not Found", body = "No such page.\n";
    }
    return snprintf(out, size,
                    "HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %u\r\nConnection: close\r\n\r\n%s",
                    status, (unsigned)strlen(body), body);
}

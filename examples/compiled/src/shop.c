/* A shop that says its version. Told to stop, it answers /health with 503 and goes on serving for DRAIN seconds. */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"

#define PORT 8080

static volatile sig_atomic_t leaving;

static void leave(int number)
{
    leaving = number;
}

static int open_socket(void)
{
    int one = 1, made = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return made;
}

static struct sockaddr_in address(unsigned host)
{
    struct sockaddr_in made = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(host)};
    return made;
}

static void serve(int client)
{
    struct timeval patience = {2, 0};
    char request[4096], out[4096];
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t got = recv(client, request, sizeof request - 1, 0);
    if (got > 0) {
        request[got] = 0;
        send(client, out, answer(request, leaving, out, sizeof out), MSG_NOSIGNAL);
    }
    shutdown(client, SHUT_WR);
    recv(client, request, sizeof request, 0); /* its end, so that a close does not cut what is on its way */
    close(client);
}

/* The health check of the container: whether the one that serves here is well. */
static int check(void)
{
    struct sockaddr_in here = address(INADDR_LOOPBACK);
    char said[64] = "";
    int server = open_socket();
    if (connect(server, (struct sockaddr *)&here, sizeof here) != 0)
        return 1;
    send(server, "GET /version HTTP/1.0\r\n\r\n", 25, MSG_NOSIGNAL);
    recv(server, said, sizeof said - 1, 0);
    return strncmp(said, "HTTP/1.0 200", 12) != 0;
}

int main(int count, char **words)
{
    if (count > 1 && strcmp(words[1], "--check") == 0)
        return check();
    const char *drain = getenv("DRAIN");
    struct sockaddr_in everywhere = address(INADDR_ANY);
    struct pollfd waiting = {.fd = open_socket(), .events = POLLIN};
    time_t until = 0;
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    if (bind(waiting.fd, (struct sockaddr *)&everywhere, sizeof everywhere) != 0 || listen(waiting.fd, 128) != 0) {
        perror("shop: cannot listen");
        return 1;
    }
    printf("serving version %s\n", VERSION);
    fflush(stdout);
    while (!until || time(NULL) < until) {
        if (leaving && !until)
            until = time(NULL) + (drain ? atoi(drain) : 2);
        if (poll(&waiting, 1, 100) > 0)
            serve(accept(waiting.fd, NULL, NULL));
    }
    return 0;
}
